// Installs what is missing, so that one command is enough on a machine with Node and npm only.
// Plain JavaScript on Node's own modules: at this point nothing else may be there yet.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const [major, minor] = process.versions.node.split(".").map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`This needs Node 20.19 or newer; here is ${process.version}.`);
  process.exit(2);
}

if (!isInstalled()) {
  console.error("Installing dependencies (once; about 30 seconds) …");
  const npm = process.env.npm_execpath?.endsWith(".js") ? [process.execPath, process.env.npm_execpath] : ["npm"];
  const args = ["ci", "--no-fund", "--no-audit", "--loglevel=error"];
  // npm's own output goes to stderr: stdout belongs to the records that --once prints.
  const result = spawnSync(npm[0], [...npm.slice(1), ...args], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: npm.length === 1 && process.platform === "win32",
  });
  if (result.status !== 0) {
    console.error(`\nThe installation failed (npm ${args.join(" ")}). Is the npm registry within reach? See npm's own message above.`);
    process.exit(result.status ?? 1);
  }
}

/** Whether every package that the lock file wants for this machine is installed in that version. */
function isInstalled() {
  const installed = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(installed)) return false;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const present = JSON.parse(readFileSync(installed, "utf8")).packages;
  return Object.entries(wanted).every(([path, { version, optional, peer }]) => {
    if (path === "" || ((optional || peer) && !present[path])) return true;
    return present[path]?.version === version;
  });
}
