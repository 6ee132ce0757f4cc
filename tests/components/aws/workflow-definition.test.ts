import assert from "node:assert/strict";
import validate from "asl-validator";
import { type WorkflowResources, workflowDefinition } from "../../../components/aws/workflow-definition.js";
import type { State, StateMachine } from "../../../components/aws/workflow-states.js";
import { CloudError, type Properties, type Service } from "../../../local/kernel/service.js";
import iam from "../../../local/services/aws/iam.js";
import states from "../../../local/services/aws/states/index.js";
import { type TestCloud, testCloud } from "../../local/cloud.js";

const ARN = "arn:aws:lambda:us-east-1:000000000000:function";
const STAGES = ["validate", "generateThumbnails", "extractMetadata", "detectLabels", "storeResults", "recordFailure"] as const;
type Stage = (typeof STAGES)[number];
type Tagger = Parameters<typeof workflowDefinition>[1]["tagger"];

const RESOURCES: WorkflowResources = {
  functions: Object.fromEntries(STAGES.map((stage) => [stage, `${ARN}:${stage}`])) as Record<Stage, string>,
  thumbnails: "photos-thumbnails",
  tags: "photos-tags",
  topic: "arn:aws:sns:us-east-1:000000000000:results",
  deadLetters: "https://sqs.us-east-1.amazonaws.com/000000000000/parked",
};

const EVENT = {
  "detail-type": "Object Created",
  source: "aws.s3",
  time: "2026-11-21T12:00:00Z",
  detail: { bucket: { name: "b" }, object: { key: "uploads/cat.png", size: 5, etag: "e", sequencer: "0055" } },
};
const VALID = { stale: false, run: { key: "uploads/cat.png", sequencer: "0055", etag: "e", redrive: false }, size: 5, etag: "e" };
const THUMBNAILS = { fingerprint: { sha256: "ab" }, variants: [], labelsImage: { key: "labels/ab.jpg", width: 100, height: 80 } };
const METADATA = { format: "png", width: 100 };
const DONE = { stored: true, notification: { status: "completed", subject: "Done", message: '{"key":"uploads/cat.png"}' } };
const FAILED = { stored: true, notification: { status: "failed", subject: "Failed", message: '{"key":"uploads/cat.png"}' } };

/** An error as a handler throws it. */
const thrown = (errorType: string, errorMessage: string) => ({ errorType, errorMessage });
const refusal = thrown("ImageRefused", '{"code":"CORRUPT","message":"Row 3 is damaged."}');

/** Answers for one call after the other; the last stays. */
class InTurn {
  readonly #answers: unknown[];
  constructor(...answers: unknown[]) {
    this.#answers = answers;
  }
  next(): unknown {
    return this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0];
  }
}
const inTurn = (...answers: unknown[]) => new InTurn(...answers);

/** What the services answer; a function may throw. */
interface Answers {
  functions?: Partial<Record<Stage, unknown>>;
  remembered?: Properties;
  rekognition?: () => Properties;
  sns?: () => Properties;
  sqs?: () => Properties;
}

interface Result {
  status: "SUCCEEDED" | "FAILED" | "TIMED_OUT";
  error?: string;
  cause?: string;
  /** Names of the states in the order in which they were entered. */
  entered: string[];
  /** Calls, by function or API operation. */
  calls: { to: string; input: Properties }[];
}

describe("The workflow's state machine", () => {
  let test: TestCloud;
  let answers: Answers;
  let calls: Result["calls"];

  const service = (name: string, operations: Record<string, (input: Properties) => Properties>): Service => ({
    name,
    api: {
      // Called from within the cloud only.
      protocol: undefined as never,
      operations: Object.fromEntries(
        Object.entries(operations).map(([operation, handle]) => [
          operation,
          {
            needs: () => [],
            handle: async (input) => {
              const stage = name === "lambda" ? String(input.FunctionName).split(":").at(-1) : undefined;
              calls.push({ to: stage ?? operation, input: stage ? JSON.parse(input.Payload.toString()) : input });
              return handle(input);
            },
          },
        ]),
      ),
    },
  });

  const lambda = service("lambda", {
    Invoke: ({ FunctionName }) => {
      const stage = String(FunctionName).split(":").at(-1) as Stage;
      const given = answers.functions?.[stage] ?? defaults[stage];
      const answer = given instanceof InTurn ? given.next() : given;
      if (answer instanceof Error) throw answer;
      const failed = typeof answer === "object" && answer !== null && "errorType" in answer;
      return { StatusCode: 200, Payload: Buffer.from(JSON.stringify(answer)), ...(failed && { FunctionError: "Unhandled" }) };
    },
  });
  const defaults: Record<Stage, unknown> = {
    validate: VALID,
    generateThumbnails: THUMBNAILS,
    extractMetadata: METADATA,
    detectLabels: [{ name: "Bright", confidence: 80 }],
    storeResults: DONE,
    recordFailure: FAILED,
  };

  before(async () => {
    test = await testCloud([
      iam(),
      states({ pace: 0.001 }),
      lambda,
      service("dynamodb", { GetItem: () => answers.remembered ?? {} }),
      service("rekognition", {
        DetectLabels: () => answers.rekognition?.() ?? { Labels: [{ Name: "Cat", Confidence: 98.5 }] },
      }),
      service("sns", { Publish: () => answers.sns?.() ?? { MessageId: "1" } }),
      service("sqs", { SendMessage: () => answers.sqs?.() ?? { MessageId: "1", MD5OfMessageBody: "x" } }),
    ]);
  });
  after(() => test.stop());

  const machines = new Map<Tagger, string>();
  const machine = async (tagger: Tagger): Promise<string> => {
    const known = machines.get(tagger);
    if (known) return known;
    const trust = {
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal: { Service: "states.amazonaws.com" }, Action: "sts:AssumeRole" }],
    };
    const role = await test.declare("aws:iam/role:Role", `role-${tagger}`, { assumeRolePolicy: JSON.stringify(trust) });
    const { id } = await test.declare("aws:sfn/stateMachine:StateMachine", `machine-${tagger}`, {
      type: "STANDARD",
      roleArn: role.outputs.arn,
      definition: JSON.stringify(workflowDefinition(RESOURCES, { tagger })),
    });
    machines.set(tagger, id);
    return id;
  };

  const run = async (given: Answers = {}, tagger: Tagger = "cloud", event: object = EVENT): Promise<Result> => {
    [answers, calls] = [given, []];
    const call = (operation: string, input: Properties) => test.cloud.call({ service: "states", operation, input, as: test.owner });
    const { executionArn } = await call("StartExecution", { stateMachineArn: await machine(tagger), input: JSON.stringify(event) });
    await test.cloud.settled();
    const { status, error, cause } = await call("DescribeExecution", { executionArn });
    const { events } = await call("GetExecutionHistory", { executionArn, maxResults: 1000 });
    const entered = events.flatMap((each: Properties) => each.stateEnteredEventDetails?.name ?? []);
    return { status, error, cause, entered, calls };
  };

  const to = ({ calls }: Result, name: string) => calls.filter((call) => call.to === name).map(({ input }) => input);
  const published = (result: Result) => to(result, "Publish");
  const parked = (result: Result) => to(result, "SendMessage").map(({ MessageBody }) => JSON.parse(MessageBody));

  describe("an image that is all right", () => {
    it("goes through the stages in order, and its result is announced", async () => {
      const result = await run();
      assert.equal(result.status, "SUCCEEDED");
      const order = [
        "Validate",
        "Process",
        "GenerateThumbnails",
        "ExtractMetadata",
        "RecallLabels",
        "DetectLabels",
        "StoreResults",
        "Notify",
      ];
      assert.deepEqual(result.entered.filter((name) => order.includes(name)).toSorted(by(order)), order);
      assert.deepEqual(published(result), [
        {
          TopicArn: RESOURCES.topic,
          Subject: "Done",
          Message: DONE.notification.message,
          MessageAttributes: { status: { DataType: "String", StringValue: "completed" } },
        },
      ]);
      assert.deepEqual(parked(result), []);
    });

    it("hands the whole event to the first stage, and all that was found to the last, with the execution that it is", async () => {
      const result = await run();
      assert.deepEqual(to(result, "validate"), [EVENT]);
      const [{ input, execution } = {}] = to(result, "storeResults");
      assert.deepEqual(input.found, { thumbnails: THUMBNAILS, metadata: METADATA });
      assert.deepEqual(input.labels, { labels: [{ Name: "Cat", Confidence: 98.5 }] });
      assert.deepEqual(input.run, VALID.run);
      assert.match(execution, /^arn:aws:states:.*:execution:machine-cloud/);
    });

    it("looks for labels in the picture that was made for that", async () => {
      const [input] = to(await run(), "DetectLabels");
      assert.deepEqual(input?.Image, { S3Object: { Bucket: "photos-thumbnails", Name: "labels/ab.jpg" } });
    });
  });

  describe("an event that counts no more", () => {
    it("ends after Validate", async () => {
      const result = await run({ functions: { validate: { stale: true } } });
      assert.deepEqual([result.status, result.calls.length], ["SUCCEEDED", 1]);
    });

    it("is not announced when the results were not stored", async () => {
      const result = await run({ functions: { storeResults: { stored: false } } });
      assert.deepEqual([result.status, published(result)], ["SUCCEEDED", []]);
    });

    for (const error of ["ObjectChanged", "ObjectMissing"]) {
      it(`ends when a stage finds ${error}: that has an event of its own`, async () => {
        const result = await run({ functions: { generateThumbnails: thrown(error, "x") } });
        assert.deepEqual([result.status, published(result), parked(result)], ["SUCCEEDED", [], []]);
      });
    }
  });

  describe("an image that is refused", () => {
    for (const stage of ["validate", "generateThumbnails", "extractMetadata"] as const) {
      it(`by ${stage} is recorded, once, and announced; the execution succeeds`, async () => {
        const result = await run({ functions: { [stage]: refusal } });
        assert.equal(result.status, "SUCCEEDED");
        assert.equal(to(result, stage).length, 1, "no retry");
        const [{ event, error, execution } = {}] = to(result, "recordFailure");
        assert.deepEqual(event, EVENT);
        assert.equal(error.Error, "ImageRefused");
        assert.match(error.Cause, /Row 3 is damaged/);
        assert.ok(execution);
        assert.deepEqual(
          published(result).map(({ MessageAttributes }) => MessageAttributes.status.StringValue),
          ["failed"],
        );
        assert.deepEqual([to(result, "storeResults"), parked(result)], [[], []]);
      });
    }

    it("is a result even when the infrastructure fails the other branch", async () => {
      const result = await run({ functions: { extractMetadata: refusal, generateThumbnails: thrown("TypeError", "x is undefined") } });
      assert.deepEqual([result.status, to(result, "recordFailure").length, parked(result)], ["SUCCEEDED", 1, []]);
    });

    it("is not announced when another delivery was first", async () => {
      const result = await run({ functions: { validate: refusal, recordFailure: { stored: false } } });
      assert.deepEqual([result.status, published(result)], ["SUCCEEDED", []]);
    });
  });

  describe("trouble with the infrastructure", () => {
    const denied = thrown("AccessDenied", "User: arn:role is not authorized to perform: s3:GetObject on resource: arn:bucket");

    for (const stage of ["validate", "generateThumbnails", "extractMetadata", "storeResults"] as const) {
      it(`in ${stage} parks the whole event with what was wrong, marks the record, announces that, and fails`, async () => {
        const result = await run({ functions: { [stage]: denied } });
        assert.deepEqual([result.status, result.error], ["FAILED", "AccessDenied"]);
        assert.match(result.cause ?? "", /s3:GetObject on resource: arn:bucket/);
        const [{ key, event, error, at } = {}] = parked(result);
        assert.deepEqual([key, event, error.code], ["uploads/cat.png", EVENT, "AccessDenied"]);
        assert.match(error.message, /arn:role is not authorized to perform: s3:GetObject/);
        assert.ok(Date.parse(at));
        assert.equal(to(result, "recordFailure").length, 1);
        assert.equal(published(result).at(-1)?.MessageAttributes.status.StringValue, "failed");
        assert.equal(to(result, stage).length, 1, "a permission is not there the next second");
      });
    }

    it("that passes by itself is tried again", async () => {
      for (const error of ["ThrottlingException", "SlowDown", "InternalServerError", "TimeoutError"]) {
        const result = await run({ functions: { generateThumbnails: inTurn(thrown(error, "x"), thrown(error, "x"), THUMBNAILS) } });
        assert.deepEqual([result.status, to(result, "generateThumbnails").length], ["SUCCEEDED", 3], error);
      }
      const busy = new CloudError("TooManyRequestsException", "Rate Exceeded.", 429);
      const result = await run({ functions: { validate: inTurn(busy, VALID) } });
      assert.equal(result.status, "SUCCEEDED");
    });

    it("that kills a function is tried again once", async () => {
      const dead = thrown("Sandbox.Timedout", "Task timed out after 45.00 seconds");
      assert.equal((await run({ functions: { generateThumbnails: inTurn(dead, THUMBNAILS) } })).status, "SUCCEEDED");
      const result = await run({ functions: { generateThumbnails: dead } });
      assert.deepEqual([result.status, to(result, "generateThumbnails").length, parked(result).length], ["FAILED", 2, 1]);
    });

    it("keeps a redrive's event a redrive's", async () => {
      const [letter] = parked(await run({ functions: { validate: denied } }, "cloud", { ...EVENT, redrive: true }));
      assert.equal(letter.event.redrive, true);
    });

    it("in announcing a stored result parks the event, and the result stays as it is", async () => {
      let tries = 0;
      const result = await run({
        functions: { recordFailure: { stored: false } },
        sns: () => {
          tries++;
          throw new CloudError("AuthorizationError", "User: arn:role is not authorized to perform: SNS:Publish", 403);
        },
      });
      assert.deepEqual([result.status, parked(result).length, tries], ["FAILED", 1, 1]);
    });

    it("in recording a refusal parks the event", async () => {
      const result = await run({ functions: { validate: refusal, recordFailure: inTurn(denied, FAILED) } });
      assert.deepEqual([result.status, result.error, parked(result).length], ["FAILED", "AccessDenied", 1]);
    });

    it("in parking still marks the record, and fails for the first reason", async () => {
      const result = await run({
        functions: { validate: denied },
        sqs: () => {
          throw new CloudError("AccessDenied", "no sqs:SendMessage", 403);
        },
      });
      assert.deepEqual([result.status, result.error, to(result, "recordFailure").length], ["FAILED", "AccessDenied", 1]);
      assert.match(result.cause ?? "", /s3:GetObject/);
    });

    it("everywhere at once still ends, as failed", async () => {
      const result = await run({
        functions: { validate: denied, recordFailure: denied },
        sqs: () => {
          throw new CloudError("AccessDenied", "no sqs:SendMessage", 403);
        },
      });
      assert.deepEqual([result.status, result.error], ["FAILED", "AccessDenied"]);
    });

    it("of which nothing is said ends in the dead letters, too", async () => {
      const result = await run({ functions: { validate: new CloudError("ServiceException", "", 500) } });
      assert.deepEqual([result.status, parked(result).length], ["FAILED", 1]);
    });
  });

  describe("labels", () => {
    const remembered = (Tagger: string) => ({ Item: { Labels: { S: '[{"name":"Cat","confidence":98.5}]' }, Tagger: { S: Tagger } } });

    it("that the cloud found for the same bytes are not asked for again", async () => {
      const result = await run({ remembered: remembered("cloud") });
      assert.deepEqual(to(result, "GetItem"), [{ TableName: "photos-tags", Key: { Tag: { S: "sha256#ab" }, Position: { S: "labels" } } }]);
      assert.deepEqual(to(result, "DetectLabels"), []);
      assert.deepEqual(to(result, "storeResults")[0]?.input.recalled.Item, remembered("cloud").Item);
    });

    it("of another tagger are", async () => {
      const result = await run({ remembered: remembered("statistics 1") });
      assert.equal(to(result, "DetectLabels").length, 1);
    });

    it("may be none at all", async () => {
      const result = await run({ rekognition: () => ({ Labels: [] }) });
      assert.equal(result.status, "SUCCEEDED");
      assert.deepEqual(to(result, "storeResults")[0]?.input.labels, { labels: [] });
    });

    for (const code of ["InvalidImageFormatException", "ImageTooLargeException"]) {
      it(`are left out where Rekognition says ${code}, and the image is completed`, async () => {
        const result = await run({
          rekognition: () => {
            throw new CloudError(code, "Request has invalid image format");
          },
        });
        assert.equal(result.status, "SUCCEEDED");
        const [{ input } = {}] = to(result, "storeResults");
        assert.equal(input.labels, undefined);
        assert.equal(input.unlabelled.Error, `Rekognition.${code}`);
        assert.equal(to(result, "DetectLabels").length, 1);
      });
    }

    for (const code of ["AccessDeniedException", "InvalidS3ObjectException"]) {
      it(`are not given up where Rekognition says ${code}: that is the infrastructure's`, async () => {
        const result = await run({
          rekognition: () => {
            throw new CloudError(code, "no rekognition:DetectLabels", 403);
          },
        });
        assert.deepEqual(
          [result.status, to(result, "DetectLabels").length, parked(result)[0]?.error.code],
          ["FAILED", 1, `Rekognition.${code}`],
        );
      });
    }

    it("wait for Rekognition when it is asked too often", async () => {
      let asked = 0;
      const result = await run({
        rekognition: () => {
          if (++asked < 3) throw new CloudError("ThrottlingException", "Slow down");
          return { Labels: [] };
        },
      });
      assert.deepEqual([result.status, asked], ["SUCCEEDED", 3]);
    });

    it("are not looked for in pictures that Rekognition refuses to look at", async () => {
      for (const labelsImage of [undefined, { key: "k", width: 79, height: 100 }, { key: "k", width: 100, height: 79 }]) {
        const result = await run({ functions: { generateThumbnails: { ...THUMBNAILS, labelsImage } } });
        assert.deepEqual([result.status, to(result, "DetectLabels"), to(result, "GetItem")], ["SUCCEEDED", [], []]);
      }
    });

    for (const tagger of ["statistics", "module"] as const) {
      it(`of the tagger "${tagger}" come from its function, and Rekognition is not there`, async () => {
        const result = await run({}, tagger);
        assert.deepEqual(to(result, "storeResults")[0]?.input.labels, { tags: [{ name: "Bright", confidence: 80 }] });
        assert.deepEqual(to(result, "detectLabels")[0]?.input.found, { thumbnails: THUMBNAILS, metadata: METADATA });
        assert.doesNotMatch(JSON.stringify(workflowDefinition(RESOURCES, { tagger })), /rekognition:|dynamodb:/);
      });
    }

    it('of nobody are none with the tagger "none"', async () => {
      const result = await run({}, "none");
      assert.equal(result.status, "SUCCEEDED");
      assert.deepEqual([to(result, "detectLabels"), to(result, "storeResults")[0]?.input.labels], [[], undefined]);
    });
  });

  describe("its definition", () => {
    for (const tagger of ["cloud", "statistics", "none", "module"] as const) {
      const definition = workflowDefinition(RESOURCES, { tagger });

      it(`is valid for the tagger "${tagger}", and every state can be reached`, () => {
        const { isValid, errorsText } = validate(structuredClone(definition), { checkPaths: true, checkArn: true });
        assert.ok(isValid, errorsText("\n"));
        assert.deepEqual(problems(definition), []);
      });
    }

    const all = [...walk(workflowDefinition(RESOURCES, { tagger: "cloud" }))];

    it("catches every error of every state that can fail", () => {
      for (const [name, state] of all) {
        if (state.Type !== "Task" && state.Type !== "Parallel") continue;
        assert.deepEqual(state.Catch.at(-1)?.ErrorEquals, ["States.ALL"], name);
      }
    });

    it("ends in time, even when each stage takes all of its time twice", () => {
      const time = (machine: StateMachine): number =>
        Object.values(machine.States).reduce((sum, state) => {
          if (state.Type === "Parallel") return sum + Math.max(...state.Branches.map(time));
          const stages =
            state.Type === "Task" && /lambda:invoke|rekognition/.test(state.Resource) && !JSON.stringify(state).includes("recordFailure");
          return sum + (stages ? 2 * state.TimeoutSeconds : 0);
        }, 0);
      const definition = workflowDefinition(RESOURCES, { tagger: "cloud" });
      assert.ok((definition.TimeoutSeconds ?? 0) < 300);
      assert.ok(time(definition) < (definition.TimeoutSeconds ?? 0), `${time(definition)}`);
    });

    it("retries nothing that a permission is missing for", () => {
      for (const [name, state] of all) {
        if (state.Type !== "Task") continue;
        const retried = state.Retry.flatMap(({ ErrorEquals }) => ErrorEquals);
        assert.ok(!retried.some((error) => /AccessDenied|AWSLambdaException|States\.(ALL|TaskFailed)/.test(error)), name);
      }
    });

    it("needs a function for labels of one's own", () => {
      const { detectLabels: _, ...functions } = RESOURCES.functions;
      assert.throws(() => workflowDefinition({ ...RESOURCES, functions }, { tagger: "module" }), /needs the function detectLabels/);
    });
  });
});

const by = (order: string[]) => (a: string, b: string) => order.indexOf(a) - order.indexOf(b);

function* walk(machine: StateMachine): Generator<[string, State]> {
  for (const [name, state] of Object.entries(machine.States)) {
    yield [name, state];
    if (state.Type === "Parallel") for (const branch of state.Branches) yield* walk(branch);
  }
}

/** Transitions to nowhere, and states that no transition leads to. */
function problems({ StartAt, States }: StateMachine): string[] {
  const next = (state: State): string[] => [
    ...("Next" in state ? [state.Next] : []),
    ...(state.Type === "Choice" ? [...state.Choices.map(({ Next }) => Next), state.Default] : []),
    ...("Catch" in state ? state.Catch.map(({ Next }) => Next) : []),
  ];
  const reached = new Set<string>();
  const missing: string[] = [];
  for (const todo = [StartAt]; todo.length > 0; ) {
    const name = todo.pop() ?? "";
    const state = States[name];
    if (!state) missing.push(`no state ${name}`);
    if (!state || reached.has(name)) continue;
    reached.add(name);
    todo.push(...next(state));
  }
  const inner = Object.values(States).flatMap((state) => (state.Type === "Parallel" ? state.Branches.flatMap(problems) : []));
  return [
    ...missing,
    ...Object.keys(States)
      .filter((name) => !reached.has(name))
      .map((name) => `${name} is unreachable`),
    ...inner,
  ];
}
