import assert from "node:assert/strict";
import type { DeadLetter, DeadLetters } from "../../../functions/core/ports.js";

/** What every place for dead letters does, whichever cloud it is in. Each test finds it empty. */
export function deadLettersContract(of: () => DeadLetters): void {
  const letter = (n: number, key = `uploads/${n}`): DeadLetter => ({
    key,
    event: { detail: { object: { key } }, n },
    error: { code: "AccessDenied", message: 'Nö: "a" is not allowed.' },
    at: "2026-11-21T12:00:00.000Z",
  });
  const park = (...all: DeadLetter[]) => Promise.all(all.map((each) => of().park(each)));
  const keys = (found: DeadLetter[]) => found.map(({ key }) => key).toSorted();

  it("lists what lies there, and leaves it", async () => {
    await park(...Array.from({ length: 23 }, (_, n) => letter(n)));
    for (let times = 0; times < 2; times++) {
      const found = await of().list(100);
      assert.equal(new Set(keys(found)).size, 23);
      assert.deepEqual(
        found.find(({ key }) => key === "uploads/7"),
        letter(7),
      );
    }
    assert.equal((await of().list(5)).length, 5);
  });

  it("gives those of one image away, and keeps the others", async () => {
    await park(letter(1), letter(2), letter(3, "uploads/2"), ...Array.from({ length: 12 }, (_, n) => letter(n + 10)));
    assert.deepEqual(keys(await of().take("uploads/2")), ["uploads/2", "uploads/2"]);
    assert.deepEqual(await of().take("uploads/2"), []);
    assert.equal((await of().list(100)).length, 13);
  });
}
