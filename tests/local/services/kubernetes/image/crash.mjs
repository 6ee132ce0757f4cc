console.error("cannot start: no database");
process.exit(3);
