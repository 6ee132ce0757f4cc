// `npm run cloud`: installs what is missing, then runs the command line, which is TypeScript.
import "./install.mjs";

const { register } = await import("tsx/esm/api");
register();
await import("./cloud.ts");
