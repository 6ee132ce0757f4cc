// Plain JavaScript, because it runs beside the code of handlers in processes of their own.
import { createRequire, Module } from "node:module";

/**
 * Lets a package that was made for another platform use this machine's own binaries of sharp: only `@img/sharp-*` that cannot be found
 * otherwise resolves from the host's install.
 *
 * @param {string} file a file of the host's install
 * @param {(request: string) => void} onFound told what was taken from it
 */
export function resolveBinariesFrom(file, onFound) {
  const host = createRequire(file);
  const resolve = Module._resolveFilename;
  Module._resolveFilename = function (request, ...rest) {
    try {
      return resolve.call(this, request, ...rest);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND" || !/^@img\/sharp-[\w-]+(\/|$)/.test(request)) throw error;
      const found = resolve.call(this, request, { id: file, filename: file, paths: host.resolve.paths(request) });
      onFound(request);
      return found;
    }
  };
}
