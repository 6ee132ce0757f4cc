import type * as pulumi from "@pulumi/pulumi";
import type { ByteSize, Duration, PixelCount } from "./core/units.js";

/** A rendition that is made of every image. */
export type ThumbnailArgs = ThumbnailSize & (LossyFormat | LosslessFormat);

interface ThumbnailSize {
  /** Pixels, 1 to 8192. */
  width: number;
  /** Pixels, 1 to 8192. */
  height: number;
  /**
   * `"cover"` gives exactly this size, cropping and enlarging as needed; `"inside"` keeps the whole picture within it and never enlarges.
   * @default "cover"
   */
  fit?: "cover" | "inside";
}

interface LossyFormat {
  /**
   * `"auto"` is JPEG, or PNG for pictures with alpha.
   * @default "auto"
   */
  format?: "auto" | "jpeg" | "webp";
  /**
   * 1 to 100, for JPEG and WebP.
   * @default 80
   */
  quality?: number;
}

interface LosslessFormat {
  format: "png";
  /** PNG loses nothing. */
  quality?: never;
}

/** A tagger: one that we bring, or the path of a module of one's own, from the project's root: `"./taggers/logo.ts"`. */
export type TaggerArgs = "cloud" | "statistics" | "none" | `./${string}`;

/** Tokens of an issuer that may call the HTTP API. */
export interface JwtArgs {
  /** The tokens' `iss`: an https URL. */
  issuer: string;
  /** The tokens' `aud`. */
  audience: string;
  /**
   * Where the issuer's public keys are.
   * @default the issuer followed by `/.well-known/jwks.json`
   */
  jwksUri?: string;
}

/** Who may call the HTTP API: see {@link ImagePipelineArgs}. */
export type AuthArgs = "key" | "none" | { jwt: JwtArgs };

/** What an image pipeline can be asked for. The same on every cloud: an option that one cloud could not honour is not here. */
export type ImagePipelineArgs = PipelineArgs & (KeyAuth | OtherAuth) & (OwnStore | AdoptedStore);

interface KeyAuth {
  /**
   * Who may call the HTTP API: whoever holds the key, whoever holds a token of an issuer (and then sees only their own images), or anyone.
   * @default "key"
   */
  auth?: "key";

  /**
   * The key: 16 to 256 visible ASCII characters.
   * @default one that is generated once and kept
   */
  apiKey?: pulumi.Input<string>;
}

interface OtherAuth {
  auth: "none" | { jwt: JwtArgs };

  /** There is a key only for `auth: "key"`. */
  apiKey?: never;
}

interface OwnStore {
  source?: never;

  /**
   * Originals that are overwritten or deleted can be had back for some days, and so can the key; it costs what keeping them costs. What has been
   * deleted on purpose is kept for as long, too. An adopted store is its owner's to protect. Records can be restored to any moment of the last
   * 7 days at least, with or without this.
   * @default gone is gone
   */
  recovery?: RecoveryArgs;
}

interface AdoptedStore {
  /**
   * The store that images arrive in.
   *
   * Omit it to create one. `{ existing: "name" }` adopts a store that is there: nothing of its configuration is overwritten, and what is missing
   * for the pipeline to work is explained at `pulumi up`.
   */
  source: { existing: pulumi.Input<string> };

  recovery?: never;
}

/** For how long what is gone can be had back. */
export interface RecoveryArgs {
  /** Whole days, 7 to 30: what every cloud offers. */
  days: number;
}

interface PipelineArgs {
  /**
   * Renditions to make, by name (`a–z`, `0–9`, `-`).
   * @default { small: { width: 100, height: 100 }, large: { width: 640, height: 480 } }
   */
  thumbnails?: Record<string, ThumbnailArgs>;

  /** What is refused, as a recorded failure. */
  limits?: {
    /**
     * Largest file, at most "100 MB".
     * @default "25 MB"
     */
    bytes?: ByteSize;
    /**
     * Largest picture (width × height of one frame), at most "100 MP".
     * @default "50 MP"
     */
    pixels?: PixelCount;
  };

  /**
   * Who labels the pictures: the cloud's vision service, honest statistics of the pixels, a module of one's own, or nobody.
   * @default "cloud"
   */
  tagger?: TaggerArgs;

  /** Who is told of every result, beside the subscribers of the topic. */
  notify?: {
    /**
     * An address that gets a message per image. AWS asks it first whether it wants to. Azure does not, and sends 30 a minute and 100 an hour at most,
     * until Microsoft is asked for more: of the results beyond that, the topic tells alone.
     */
    email?: pulumi.Input<string>;
  };

  /** What to record of a picture's EXIF beyond the harmless. */
  metadata?: {
    /**
     * Record where it was taken?
     * @default false
     */
    gps?: boolean;
  };

  /** Web origins, besides the pipeline's own page, that may upload with tickets: `"https://app.example.org"`. */
  origins?: string[];

  /**
   * `"destroy"`: `pulumi destroy` removes everything, the images too. `"retain"`: stores, records and the key outlive the stack.
   * @default "destroy"
   */
  removal?: "destroy" | "retain";

  /** What is kept of the logs. */
  logs?: {
    /**
     * "1 day" to "3650 days"; rounded up to what the cloud offers.
     * @default "30 days"
     */
    retention?: Duration;
  };

  /** Labels on every resource that can carry them. */
  tags?: Record<string, string>;
}

/** What every pipeline gives, on every cloud. */
export interface ImagePipelineOutputs {
  /** Where the page and the HTTP API are. */
  url: pulumi.Output<string>;
  /** The key for the API, a secret; empty unless `auth` is `"key"`. */
  apiKey: pulumi.Output<string>;
  /** Name of the store that images arrive in. */
  uploads: pulumi.Output<string>;
  /** Name of the store that renditions lie in. */
  thumbnails: pulumi.Output<string>;
  /** Where results are announced: the topic's ARN, or endpoint. */
  topic: pulumi.Output<string>;
  /** The workflow: ARN of the state machine, or name of the orchestrator's app. */
  workflow: pulumi.Output<string>;
  /** Where the records are: the table's name. */
  records: pulumi.Output<string>;
  /** Where work is parked that could not be done: the queue's URL. */
  deadLetters: pulumi.Output<string>;
}
