import assert from "node:assert/strict";
import { Records } from "../../../components/aws/records.js";
import { Tags } from "../../../components/aws/tags.js";
import { declared, recorded } from "../../declared.js";

describe("Records", () => {
  it("are a table by ImageKey, found by user, status and time, with tombstones that expire", async () => {
    const index = (name: string, hash: string) => ({
      name,
      hashKey: hash,
      rangeKey: "UploadedOn",
      projectionType: "ALL",
    });
    assert.deepEqual(await declared(() => new Records("photos-ImageProcessingDb")), {
      table: {
        "photos-ImageProcessingDb-table": {
          billingMode: "PAY_PER_REQUEST",
          hashKey: "ImageKey",
          attributes: ["ImageKey", "UserId", "Status", "UploadedYear", "UploadedOn"].map((name) => ({ name, type: "S" })),
          globalSecondaryIndexes: [index("byUser", "UserId"), index("byStatus", "Status"), index("byTime", "UploadedYear")],
          ttl: { attributeName: "ExpiresAt", enabled: true },
          pointInTimeRecovery: { enabled: true },
          deletionProtectionEnabled: false,
        },
      },
    });
  });
});

describe("Tags", () => {
  it("are a table by tag and position, where remembered labels expire", async () => {
    assert.deepEqual(await declared(() => new Tags("photos-ImageTags")), {
      table: {
        "photos-ImageTags-table": {
          billingMode: "PAY_PER_REQUEST",
          hashKey: "Tag",
          rangeKey: "Position",
          attributes: [
            { name: "Tag", type: "S" },
            { name: "Position", type: "S" },
          ],
          ttl: { attributeName: "ExpiresAt", enabled: true },
          pointInTimeRecovery: { enabled: true },
          deletionProtectionEnabled: false,
        },
      },
    });
  });
});

for (const Table of [Records, Tags]) {
  describe(`${Table.name} that are to be retained`, () => {
    it("outlive the stack, and cannot be deleted by mistake", async () => {
      const [table] = await recorded(() => new Table("kept", { removal: "retain", tags: { team: "photos" } }));
      assert.equal(table?.retainOnDelete, true);
      assert.equal(table?.inputs.deletionProtectionEnabled, true);
      assert.deepEqual(table?.inputs.tags, { team: "photos" });
    });
  });
}
