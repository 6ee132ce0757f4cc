import { AsyncLocalStorage } from "node:async_hooks";

type Listener = NodeJS.UnhandledRejectionListener;

/** What the program that is running here wants to be told. */
const program = new AsyncLocalStorage<(error: unknown) => void>();

let running = 0;
let others: Listener[] = [];

/**
 * Runs a program whose promises may be rejected with nobody waiting for them, as an error thrown within `apply` is: that is the program's
 * failure, not the process's. Rejections of anything else go where they would have gone.
 */
export async function withRejections<T>(onRejection: (error: unknown) => void, work: () => Promise<T>): Promise<T> {
  if (running++ === 0) {
    others = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    process.on("unhandledRejection", listener);
  }
  try {
    return await program.run(onRejection, work);
  } finally {
    // Rejections are reported after the microtasks in which they happened.
    await new Promise((resolve) => setImmediate(resolve));
    if (--running === 0) {
      process.off("unhandledRejection", listener);
      for (const other of others) process.on("unhandledRejection", other);
    }
  }
}

const listener: Listener = (reason, promise) => {
  const onRejection = program.getStore();
  if (onRejection) onRejection(reason);
  else if (others.length === 0) throw reason;
  else for (const other of others) other(reason, promise);
};
