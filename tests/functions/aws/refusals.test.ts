import assert from "node:assert/strict";
import { messageOf, refusalIn, refusing } from "../../../functions/aws/refusals.js";
import { ImageRefused } from "../../../functions/core/failures.js";

/** What Lambda makes of an error, and Step Functions of that. */
async function crossing(work: () => Promise<unknown>, key?: string): Promise<{ Error: string; Cause: string }> {
  try {
    await refusing(work, key);
  } catch (error) {
    const { name, message, stack } = error as Error;
    return { Error: name, Cause: JSON.stringify({ errorType: name, errorMessage: message, trace: stack?.split("\n") }) };
  }
  return assert.fail("nothing was thrown");
}

describe("An error that crosses the border of a Lambda", () => {
  it("is the same refusal on the other side", async () => {
    const refused = await crossing(() => Promise.reject(new ImageRefused("PIXEL_LIMIT", 'It has "100" MP.')));
    assert.equal(refused.Error, "ImageRefused");
    assert.deepEqual(refusalIn(refused), { code: "PIXEL_LIMIT", message: 'It has "100" MP.' });
  });

  it("tells the object that was looked at where that is not the event's", async () => {
    const refused = await crossing(() => Promise.reject(new ImageRefused("EMPTY")), "uploads/a b.png");
    assert.equal(refusalIn(refused)?.key, "uploads/a b.png");
  });

  it("says what the cloud said, when it is the cloud's", async () => {
    const denied = Object.assign(new Error("User: arn:role is not authorized to perform: s3:GetObject"), { name: "AccessDenied" });
    const error = await crossing(() => Promise.reject(denied));
    assert.equal(error.Error, "AccessDenied");
    assert.equal(refusalIn(error), undefined);
    assert.equal(messageOf(error.Cause), denied.message);
  });

  it("is no refusal because of its name alone", () => {
    for (const Cause of [
      "",
      "no JSON",
      '{"errorMessage":"{\\"code\\":\\"NONSENSE\\",\\"message\\":\\"\\"}"}',
      '{"code":"EMPTY","message":"x"} ',
    ]) {
      const known = Cause.startsWith('{"code":"EMPTY"');
      assert.equal(refusalIn({ Error: "ImageRefused", Cause }) !== undefined, known, Cause);
    }
  });
});
