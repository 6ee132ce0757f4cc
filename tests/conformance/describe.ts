import { Client } from "./client.js";
import { TARGETS, target } from "./target.js";

/** The same statements about every target. */
export function conformance(title: string, statements: (client: () => Client) => void): void {
  for (const name of TARGETS) {
    describe(`${title} (${name})`, function () {
      this.timeout(180_000);
      let client: Client | undefined;
      before(async () => {
        client = new Client(await target(name));
      });
      statements(() => client as Client);
    });
  }
}
