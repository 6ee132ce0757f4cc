import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import program from "../../stacks/index.js";
import { type Declared, recorded } from "../declared.js";

/** Declares what the stack declares with this config. */
const stack = (config: Record<string, string>): Promise<Declared[]> =>
  recorded(program, { config: { "image-pipeline:cloud": "aws", "aws:region": "eu-west-1", ...config } });

const find = (resources: Declared[], name: string): Record<string, any> => {
  const found = resources.find((resource) => resource.name === name);
  assert.ok(found, `${name} is not declared`);
  return found.inputs;
};

describe("The stack on AWS", () => {
  it("gives the pipeline's outputs, the key as a secret, and nothing else", async () => {
    let outputs: Record<string, any> = {};
    await recorded(
      async () => {
        outputs = await program();
        assert.equal(await pulumi.isSecret(outputs.apiKey), true);
      },
      { config: { "image-pipeline:cloud": "aws" } },
    );
    assert.deepEqual(Object.keys(outputs), ["url", "apiKey", "uploads", "thumbnails", "topic", "workflow", "records", "deadLetters"]);
  });

  it("takes its arguments from the config", async () => {
    const resources = await stack({
      "image-pipeline:thumbnails": '{"card":{"width":320,"height":200,"fit":"inside"}}',
      "image-pipeline:maxBytes": "5 MB",
      "image-pipeline:maxPixels": "12 MP",
      "image-pipeline:tagger": "none",
      "image-pipeline:notifyEmail": "ops@example.org",
      "image-pipeline:auth": "jwt",
      "image-pipeline:jwtIssuer": "https://id.example.org",
      "image-pipeline:jwtAudience": "photos",
      "image-pipeline:gps": "true",
      "image-pipeline:origins": '["https://app.example.org"]',
      "image-pipeline:removal": "retain",
      "image-pipeline:recoveryDays": "14",
      "image-pipeline:logRetention": "7 days",
      "image-pipeline:tags": '{"team":"photos"}',
      "image-pipeline:workflow": "standard",
    });
    assert.deepEqual(JSON.parse(find(resources, "photos-api-function").environment.variables.PIPELINE_SETTINGS), {
      variants: { card: { width: 320, height: 200, fit: "inside", format: "auto", quality: 80 } },
      limits: { bytes: 5_000_000, pixels: 12_000_000 },
      gps: true,
      auth: { kind: "jwt", issuer: "https://id.example.org", audience: "photos", jwksUri: "https://id.example.org/.well-known/jwks.json" },
      tagger: "none",
      linkLifetime: 900,
    });
    assert.equal(find(resources, "photos-results-email").endpoint, "ops@example.org");
    assert.equal(find(resources, "photos-uploads-cors").corsRules[0].allowedOrigins[1], "https://app.example.org");
    assert.equal(find(resources, "photos-uploads-bucket").forceDestroy, false);
    assert.equal(find(resources, "photos-uploads-versioning").versioningConfiguration.status, "Enabled");
    assert.equal(find(resources, "photos-api-logs").retentionInDays, 7);
    assert.deepEqual(find(resources, "photos-results-topic").tags, { team: "photos" });
    assert.equal(find(resources, "photos-workflow-machine").type, "STANDARD");
  });

  it("takes the key that is configured", async () => {
    const resources = await stack({ "image-pipeline:apiKey": "0123456789abcdef" });
    assert.equal(find(resources, "photos-api-key-version").secretString, "0123456789abcdef");
    assert.equal(
      resources.some(({ name }) => name === "photos-api-key-generated"),
      false,
    );
  });

  const refused: [string, Record<string, string>, string][] = [
    [
      "a cloud that there is not",
      { cloud: "gcp" },
      'config image-pipeline:cloud is "gcp": it must be "aws" or "azure". Set it with `pulumi config set image-pipeline:cloud aws`.',
    ],
    [
      "a cloud that is an inherited word",
      { cloud: "constructor" },
      'config image-pipeline:cloud is "constructor": it must be "aws" or "azure". ',
    ],
    [
      "a key that nobody knows",
      { notifyMail: "ops@example.org" },
      'config: a key is "image-pipeline:notifyMail": it must be one of cloud, source, thumbnails, ',
    ],
    ["a flag that is none", { gps: "yes" }, 'config image-pipeline:gps is "yes": it must be true or false.'],
    ["days that are none", { recoveryDays: "a week" }, "photos: recovery.days is NaN: it must be between 7 and 30."],
    ["JSON that is none", { thumbnails: "{small}" }, 'config image-pipeline:thumbnails is "{small}": it must be JSON: '],
    [
      "tokens without auth by tokens",
      { jwtIssuer: "https://id.example.org" },
      'config image-pipeline:auth is undefined: it must be "jwt" where jwtIssuer is set.',
    ],
    [
      "what the pipeline refuses",
      { apiKey: "short" },
      'photos: apiKey is "(5 characters)": it must be 16 to 256 visible ASCII characters.',
    ],
    ["a workflow of no kind", { workflow: "fast" }, 'photos: aws.workflow is "fast": it must be "express" or "standard".'],
  ];
  for (const [what, keys, message] of refused) {
    it(`refuses ${what}`, async () => {
      const config = Object.fromEntries(Object.entries(keys).map(([key, value]) => [`image-pipeline:${key}`, value]));
      await assert.rejects(stack(config), (error: Error & { code: string }) => {
        assert.equal(error.code, "INVALID_ARGUMENT");
        assert.ok(error.message.startsWith(message), error.message);
        return true;
      });
    });
  }

  it("asks for a cloud where none is configured", async () => {
    await assert.rejects(recorded(program), {
      code: "INVALID_ARGUMENT",
      message: /^config image-pipeline:cloud is undefined: it must be "aws" or "azure"\./,
    });
  });
});
