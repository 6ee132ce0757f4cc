import type * as pulumi from "@pulumi/pulumi";
import type { ApiKey } from "./api-key.js";
import type { Email } from "./email.js";
import type { ExistingContainer } from "./existing-container.js";
import type { Records } from "./records.js";
import type { Storage } from "./storage.js";
import type { Topic } from "./topic.js";
import type { Vision } from "./vision.js";

/** Where pictures lie. */
export interface Images {
  part: Storage<"uploads" | "thumbnails" | "deadLetters"> | ExistingContainer;
  uploads: Container;
  /** Renditions, and what labels were found in. */
  thumbnails: Container;
  deadLetters: Container;
  accountId: pulumi.Output<string>;
  location: pulumi.Output<string>;
  /** The blob service's endpoint. */
  url: pulumi.Output<string>;
}

interface Container {
  name: pulumi.Output<string>;
  id: pulumi.Output<string>;
}

/** What a pipeline works on, whatever runs it. */
export interface Parts {
  images: Images;
  /** Queues and tags. */
  state: Storage<never, "jobs" | "parked", "tags">;
  records: Records;
  topic: Topic;
  email: Email | undefined;
  vision: Vision | undefined;
  apiKey: ApiKey | undefined;
}
