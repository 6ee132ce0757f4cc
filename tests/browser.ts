import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

/** Chromium under the names that systems give it. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

const ARGUMENTS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Path of the browser: `CHROMIUM_PATH`, else what is found on the `PATH`. */
export function findBrowser(): string | undefined {
  const { CHROMIUM_PATH, PATH = "" } = process.env;
  return (
    CHROMIUM_PATH ||
    PATH.split(delimiter)
      .flatMap((folder) => NAMES.map((name) => join(folder, name)))
      .find(isExecutable)
  );
}

/**
 * A Chromium for a suite, closed by the caller. Skips the suite where there is none, saying so; on CI that is a failure.
 *
 * @param suite the mocha context of the suite's `before` hook.
 */
export async function launchBrowser(suite: Mocha.Context): Promise<Browser> {
  const executablePath = findBrowser();
  if (executablePath === undefined) {
    const missing = `No Chromium (${NAMES.join(", ")}) is on the PATH: install one ("apt-get install chromium"), or set CHROMIUM_PATH.`;
    if (process.env.CI === "true") throw new Error(missing);
    console.warn(`    skipped: ${missing}`);
    return suite.skip();
  }
  // Chromium refuses its sandbox to root.
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath, args: [...sandbox, ...ARGUMENTS] });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
