import assert from "node:assert/strict";
import { InvalidCursor, type TagIndex } from "../../../functions/core/ports.js";
import type { ImageRecord, Tag } from "../../../functions/core/record.js";

const day = (n: number) => `2026-11-${String(n).padStart(2, "0")}T00:00:00.000Z`;
const tag = (name: string, confidence = 90): Tag => ({ name, confidence });

/** What every index of tags does, whichever cloud it is in. Each test finds it empty. */
export function tagIndexContract(of: () => TagIndex): void {
  const image = (n: number, user?: string) => ({ key: `uploads/${n}`, ...(user && { user }), uploadedAt: day(n) });
  const record = (n: number, tags: Tag[], user?: string): ImageRecord => ({ ...image(n, user), status: "completed", tags });
  const found = async (query: Partial<Parameters<TagIndex["find"]>[0]>) => {
    const pages: string[][] = [];
    let cursor: string | undefined;
    do {
      const page = await of().find({ tag: "Cat", limit: 100, ...query, ...(cursor && { cursor }) });
      pages.push(page.items);
      cursor = page.cursor;
    } while (cursor);
    return pages;
  };
  const uploads = (...numbers: number[]) => numbers.map((n) => `uploads/${n}`);

  it("finds newest first, page by page, by everybody or by one user", async () => {
    for (let n = 1; n <= 6; n++) await of().replace(image(n, n % 2 ? "ann" : "bob"), [tag("Cat"), tag(`Only ${n}`)]);
    await of().replace(image(7), [tag("Cat")]);
    assert.deepEqual(await found({}), [uploads(7, 6, 5, 4, 3, 2, 1)]);
    assert.deepEqual(await found({ limit: 3 }), [uploads(7, 6, 5), uploads(4, 3, 2), uploads(1)]);
    assert.deepEqual(await found({ limit: 7 }), [uploads(7, 6, 5, 4, 3, 2, 1)]);
    assert.deepEqual(await found({ user: "ann", limit: 2 }), [uploads(5, 3), uploads(1)]);
    assert.deepEqual(await found({ tag: "Only 4" }), [uploads(4)]);
    assert.deepEqual(await found({ tag: "cat" }), [[]]);
  });

  it("finds from a time, included, to another, not included", async () => {
    for (let n = 1; n <= 5; n++) await of().replace(image(n, "ann"), [tag("Cat")]);
    assert.deepEqual(await found({ from: day(2), to: day(4) }), [uploads(3, 2)]);
    assert.deepEqual(await found({ from: "2026-11-04T00:00:00Z", user: "ann" }), [uploads(5, 4)]);
    assert.deepEqual(await found({ to: day(2) }), [uploads(1)]);
    assert.deepEqual(await found({ from: day(4), to: day(2) }), [[]]);
    assert.deepEqual(await found({ from: day(1), to: day(6), limit: 4 }), [uploads(5, 4, 3, 2), uploads(1)]);
  });

  it("keeps nothing of what an image had before, also under its old time and user", async () => {
    await of().replace(image(1, "ann"), [tag("Cat"), tag("Dog")]);
    const before = record(1, [tag("Cat"), tag("Dog")], "ann");
    await of().replace({ ...image(1, "bob"), uploadedAt: day(9) }, [tag("Cat"), tag("Bird")], before);
    assert.deepEqual(await found({ user: "ann" }), [[]]);
    assert.deepEqual(await found({ tag: "Dog" }), [[]]);
    assert.deepEqual(await found({ to: day(2) }), [[]]);
    assert.deepEqual(await found({ tag: "Bird", user: "bob", from: day(9) }), [uploads(1)]);
  });

  it("removes an image with all its tags, and nobody else's", async () => {
    const many = Array.from({ length: 40 }, (_, i) => tag(`Tag ${i}`));
    await of().replace(image(1, "ann"), many);
    await of().replace(image(2, "ann"), [tag("Tag 1")]);
    await of().remove(record(1, many, "ann"));
    assert.deepEqual(await found({ tag: "Tag 1" }), [uploads(2)]);
    assert.deepEqual(await found({ tag: "Tag 39", user: "ann" }), [[]]);
    await of().remove(record(1, many, "ann"));
    await of().remove(record(3, []));
  });

  it("takes tags that come twice, and what is written twice", async () => {
    for (let i = 0; i < 2; i++) await of().replace(image(1), [tag("Cat", 50), tag("Cat", 80)]);
    assert.deepEqual(await found({}), [uploads(1)]);
  });

  it("keeps apart users, tags and keys with whatever characters", async () => {
    await of().replace(image(1, "ann"), [tag("Cat")]);
    await of().replace(image(2, "ann#Cat"), [tag("x")]);
    await of().replace(image(3), [tag("user#ann#Cat"), tag("sha256#ab")]);
    await of().replace({ key: `uploads/${"ü/?#\\'".repeat(60)}`, user: "o'neil/".repeat(30), uploadedAt: day(4) }, [tag("漢".repeat(100))]);
    assert.deepEqual(await found({ user: "ann" }), [uploads(1)]);
    assert.deepEqual(await found({ tag: "user#ann#Cat" }), [uploads(3)]);
    assert.deepEqual(await found({ user: "ann#Cat", tag: "x" }), [uploads(2)]);
    assert.deepEqual(await found({ user: "o'neil/".repeat(30), tag: "漢".repeat(100) }), [[`uploads/${"ü/?#\\'".repeat(60)}`]]);
    assert.equal(await of().recall("ab"), undefined);
  });

  it("finds two images of the same moment, also on different pages", async () => {
    for (const key of ["uploads/a", "uploads/b"]) await of().replace({ key, uploadedAt: day(1) }, [tag("Cat")]);
    assert.deepEqual((await found({ limit: 1 })).flat().toSorted(), ["uploads/a", "uploads/b"]);
  });

  it("refuses cursors that it never gave out", async () => {
    await of().replace(image(1), [tag("Cat")]);
    for (const forged of ["", "x", Buffer.from("null").toString("base64url"), Buffer.from("[]").toString("base64url")])
      await assert.rejects(of().find({ tag: "Cat", limit: 2, cursor: forged }), InvalidCursor, forged);
  });

  it("remembers labels by content; none is not the same as unknown", async () => {
    const [some, nothing] = ["ab".repeat(32), "cd".repeat(32)];
    await of().remember(some, [tag("Cat", 98.5)]);
    await of().remember(nothing, []);
    assert.deepEqual(await of().recall(some), [tag("Cat", 98.5)]);
    assert.deepEqual(await of().recall(nothing), []);
    assert.equal(await of().recall("ef".repeat(32)), undefined);
  });
}
