import { AsyncLocalStorage } from "node:async_hooks";

/** What the program that runs here wants to be told. */
const program = new AsyncLocalStorage<(error: unknown) => void>();

let attached = false;

/**
 * Runs a program whose promises may be rejected with nobody waiting for them, as an error thrown within `apply` is: that is the program's
 * failure, not the process's. Once it has ended, what it left behind may still be rejected, and is nobody's business any more.
 */
export async function withRejections<T>(onRejection: (error: unknown) => void, work: () => Promise<T>): Promise<T> {
  attach();
  let over = false;
  try {
    return await program.run((error) => {
      if (!over) onRejection(error);
    }, work);
  } finally {
    // Rejections are reported after the microtasks in which they happened.
    await new Promise((resolve) => setImmediate(resolve));
    over = true;
  }
}

/**
 * Rejections of anything but programs must reach whoever listens for them, or end the process where nobody does; a listener of our own would
 * change that. So the event itself is kept from being emitted, and only where it comes from a program.
 */
function attach(): void {
  if (attached) return;
  attached = true;
  const emit = process.emit as (event: string | symbol, ...args: unknown[]) => boolean;
  process.emit = function (this: NodeJS.Process, event: string | symbol, ...args: unknown[]): boolean {
    const onRejection = event === "unhandledRejection" ? program.getStore() : undefined;
    if (!onRejection) return emit.call(this, event, ...args);
    onRejection(args[0]);
    return true;
  } as typeof process.emit;
}
