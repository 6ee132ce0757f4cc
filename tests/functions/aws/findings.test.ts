import assert from "node:assert/strict";
import { cloudLabels, type Findings, tagsOf } from "../../../functions/aws/findings.js";

const findings = (more: object) => more as Findings;
const remembered = (Tagger: string) => ({ Item: { Labels: { S: '[{"name":"Dog","confidence":70}]' }, Tagger: { S: Tagger } } });
const rekognition = { labels: [{ Name: "Cat", Confidence: 98.456789, Instances: [], Parents: [{ Name: "Animal" }] }] };

describe("The tags of an image", () => {
  it("are Rekognition's labels, surest first, 0 to 100", () => {
    assert.deepEqual(cloudLabels(findings({ labels: rekognition })), [{ name: "Cat", confidence: 98.46 }]);
    assert.deepEqual(tagsOf(findings({ labels: rekognition })), [{ name: "Cat", confidence: 98.46 }]);
    assert.deepEqual(tagsOf(findings({ labels: { labels: [] } })), []);
  });

  it("are those that the cloud found before, and then nothing is to be remembered anew", () => {
    assert.deepEqual(tagsOf(findings({ recalled: remembered("cloud") })), [{ name: "Dog", confidence: 70 }]);
    assert.equal(cloudLabels(findings({ recalled: remembered("cloud") })), undefined);
  });

  it("are not what another tagger found before, when Rekognition does not look at the picture", () => {
    assert.deepEqual(
      tagsOf(findings({ recalled: remembered("statistics 1"), unlabelled: { Error: "Rekognition.ImageTooLargeException" } })),
      [],
    );
  });

  it("are what our own handler says", () => {
    assert.deepEqual(tagsOf(findings({ labels: { tags: [{ name: "Bright", confidence: 80 }] } })), [{ name: "Bright", confidence: 80 }]);
  });

  it("are none where nobody looked", () => {
    assert.deepEqual(tagsOf(findings({})), []);
    assert.deepEqual(tagsOf(findings({ recalled: {} })), []);
  });

  it("are never what is no label", () => {
    assert.throws(() => tagsOf(findings({ labels: { labels: [{ Name: 5 }] } })));
  });
});
