import { createServer } from "node:net";
import { UsageError } from "./errors.js";

/** @throws UsageError when something listens there already. */
export async function mustBeFree(port: number): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new UsageError(
          `--port ${port} cannot be used: ${error.code === "EADDRINUSE" ? "something listens there already" : error.message}.`,
        ),
      ),
    );
    server.listen(port, "127.0.0.1", () => server.close(() => resolve()));
  });
}
