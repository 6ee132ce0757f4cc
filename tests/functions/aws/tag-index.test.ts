import assert from "node:assert/strict";
import { GetCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { DynamoTagIndex } from "../../../functions/aws/tag-index.js";
import { InvalidCursor } from "../../../functions/core/ports.js";
import type { ImageRecord, Tag } from "../../../functions/core/record.js";
import { startTables, type Tables } from "./tables.js";

const day = (n: number) => `2026-11-${String(n).padStart(2, "0")}T00:00:00.000Z`;
const tag = (name: string, confidence = 90): Tag => ({ name, confidence });

describe("Tags in DynamoDB", () => {
  let tables: Tables;
  let table: string;
  let index: DynamoTagIndex;

  before(async () => {
    tables = await startTables();
  });
  after(() => tables.stop());
  beforeEach(async () => {
    table = await tables.tags();
    index = new DynamoTagIndex(tables.client, table, "cloud", { now: () => new Date(day(1)) });
  });

  const image = (n: number, user?: string) => ({ key: `uploads/${n}`, ...(user && { user }), uploadedAt: day(n) });
  const record = (n: number, tags: Tag[], user?: string): ImageRecord => ({ ...image(n, user), status: "completed", tags });
  const found = async (query: Partial<Parameters<typeof index.find>[0]>) => {
    const pages: string[][] = [];
    let cursor: string | undefined;
    do {
      const page = await index.find({ tag: "Cat", limit: 100, ...query, ...(cursor && { cursor }) });
      pages.push(page.items);
      cursor = page.cursor;
    } while (cursor);
    return pages;
  };
  const uploads = (...numbers: number[]) => numbers.map((n) => `uploads/${n}`);
  const rows = async () => (await tables.client.send(new ScanCommand({ TableName: table }))).Items ?? [];

  it("are found newest first, page by page, by everybody or by one user", async () => {
    for (let n = 1; n <= 6; n++) await index.replace(image(n, n % 2 ? "ann" : "bob"), [tag("Cat"), tag(`Only ${n}`)]);
    await index.replace(image(7), [tag("Cat")]);
    assert.deepEqual(await found({}), [uploads(7, 6, 5, 4, 3, 2, 1)]);
    assert.deepEqual(await found({ limit: 3 }), [uploads(7, 6, 5), uploads(4, 3, 2), uploads(1)]);
    assert.deepEqual(await found({ limit: 7 }), [uploads(7, 6, 5, 4, 3, 2, 1)]);
    assert.deepEqual(await found({ user: "ann", limit: 2 }), [uploads(5, 3), uploads(1)]);
    assert.deepEqual(await found({ tag: "Only 4" }), [uploads(4)]);
    assert.deepEqual(await found({ tag: "cat" }), [[]]);
  });

  it("are found from a time, included, to another, not included", async () => {
    for (let n = 1; n <= 5; n++) await index.replace(image(n, "ann"), [tag("Cat")]);
    assert.deepEqual(await found({ from: day(2), to: day(4) }), [uploads(3, 2)]);
    assert.deepEqual(await found({ from: "2026-11-04T00:00:00Z", user: "ann" }), [uploads(5, 4)]);
    assert.deepEqual(await found({ to: day(2) }), [uploads(1)]);
    assert.deepEqual(await found({ from: day(4), to: day(2) }), [[]]);
    assert.deepEqual(await found({ from: day(1), to: day(6), limit: 4 }), [uploads(5, 4, 3, 2), uploads(1)]);
  });

  it("are replaced: what an image had more goes, also under its old time and user", async () => {
    await index.replace(image(1, "ann"), [tag("Cat"), tag("Dog")]);
    const before = record(1, [tag("Cat"), tag("Dog")], "ann");
    await index.replace({ ...image(1, "ann"), uploadedAt: day(9) }, [tag("Cat"), tag("Bird")], before);
    assert.deepEqual((await rows()).map(({ Tag, UploadedOn }) => [Tag, UploadedOn]).toSorted(), [
      ["Bird", day(9)],
      ["Cat", day(9)],
      ["user#ann#Bird", day(9)],
      ["user#ann#Cat", day(9)],
    ]);
  });

  it("are removed with the image", async () => {
    const many = Array.from({ length: 40 }, (_, i) => tag(`Tag ${i}`));
    await index.replace(image(1, "ann"), many);
    await index.replace(image(2, "ann"), [tag("Tag 1")]);
    assert.equal((await rows()).length, 82);
    await index.remove(record(1, many, "ann"));
    assert.deepEqual(
      (await rows()).map(({ ImageKey }) => ImageKey),
      ["uploads/2", "uploads/2"],
    );
    await index.remove(record(3, []));
  });

  it("may come twice in one image, and be written twice", async () => {
    for (let i = 0; i < 2; i++) await index.replace(image(1), [tag("Cat", 50), tag("Cat", 80)]);
    assert.deepEqual(
      (await rows()).map(({ Confidence }) => Confidence),
      [80],
    );
  });

  it("with whatever characters never meet another's rows", async () => {
    await index.replace(image(1, "ann"), [tag("Cat")]);
    await index.replace(image(2, "ann#Cat"), [tag("x")]);
    await index.replace(image(3), [tag("user#ann#Cat"), tag("sha256#ab")]);
    assert.deepEqual(await found({ user: "ann" }), [uploads(1)]);
    assert.deepEqual(await found({ tag: "user#ann#Cat" }), [uploads(3)]);
    assert.deepEqual(await found({ user: "ann#Cat", tag: "x" }), [uploads(2)]);
    assert.equal(await index.recall("ab"), undefined);
  });

  it("are paged by cursors of the same query only", async () => {
    for (let n = 1; n <= 4; n++) await index.replace(image(n, n % 2 ? "ann" : "bob"), [tag("Cat"), tag("Dog")]);
    const { cursor = "" } = await index.find({ tag: "Cat", limit: 2 });
    for (const query of [{ tag: "Dog" }, { tag: "Cat", user: "ann" }, { tag: "Cat", to: day(2) }, { tag: "Cat", from: day(4) }]) {
      await assert.rejects(index.find({ limit: 2, ...query, cursor }), InvalidCursor, JSON.stringify(query));
    }
    for (const forged of ["", "x", Buffer.from('{"index":"byTag","position":{"Tag":"Cat"}}').toString("base64url")]) {
      await assert.rejects(index.find({ tag: "Cat", limit: 2, cursor: forged }), InvalidCursor, forged);
    }
    assert.deepEqual((await index.find({ tag: "Cat", limit: 2, cursor })).items, uploads(2, 1));
  });

  describe("labels by content", () => {
    const sha256 = "ab".repeat(32);

    it("are remembered where the state machine looks for them, until the models have become better", async () => {
      await index.remember(sha256, [tag("Cat", 98.5)]);
      assert.deepEqual(await index.recall(sha256), [tag("Cat", 98.5)]);
      const { Item } = await tables.client.send(new GetCommand({ TableName: table, Key: { Tag: `sha256#${sha256}`, Position: "labels" } }));
      assert.deepEqual([Item?.Labels, Item?.Tagger], ['[{"name":"Cat","confidence":98.5}]', "cloud"]);
      assert.equal(Item?.ExpiresAt, Date.parse(day(1)) / 1_000 + 90 * 86_400);
    });

    it("may be none, which is not the same as unknown", async () => {
      assert.equal(await index.recall(sha256), undefined);
      await index.remember(sha256, []);
      assert.deepEqual(await index.recall(sha256), []);
    });

    it("of another tagger are not recalled", async () => {
      await new DynamoTagIndex(tables.client, table, "statistics").remember(sha256, [tag("Bright")]);
      assert.equal(await index.recall(sha256), undefined);
    });
  });
});
