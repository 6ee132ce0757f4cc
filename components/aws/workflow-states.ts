/** What of the Amazon States Language (with JSONPath) the workflow is written in. */

/** A state machine, or one branch of a Parallel. */
export interface StateMachine {
  Comment?: string;
  StartAt: string;
  TimeoutSeconds?: number;
  States: Record<string, State>;
}

export type State = Task | Pass | Parallel | Choice | Succeed | Fail;

interface Paths {
  Comment?: string;
  InputPath?: string;
  /** `null` leaves the input as it is. */
  ResultPath?: string | null;
  OutputPath?: string;
}

/** Where to go from here. */
export type Transition = { Next: string } | { End: true };

/** Values to hand on; a name that ends in `.$` holds a path or an intrinsic function. */
export type Payload = { readonly [name: string]: PayloadValue };
type PayloadValue = string | number | boolean | null | readonly PayloadValue[] | Payload;

/** Not optional where it stands: an error that nothing catches ends an Express execution without a trace of the image. */
type Catchers = readonly [Catcher, ...Catcher[]];

export type Task = Paths &
  Transition & {
    Type: "Task";
    Resource: `arn:aws:states:::${string}`;
    Parameters: Payload;
    ResultSelector?: Payload;
    TimeoutSeconds: number;
    Retry: readonly Retrier[];
    Catch: Catchers;
  };

export type Pass = Paths & Transition & { Type: "Pass"; Parameters?: Payload; Result?: PayloadValue };

export type Parallel = Paths &
  Transition & { Type: "Parallel"; Branches: readonly StateMachine[]; ResultSelector?: Payload; Catch: Catchers };

export interface Choice {
  Type: "Choice";
  Comment?: string;
  Choices: readonly ((Test | { And: readonly Test[] }) & { Next: string })[];
  Default: string;
}

export type Test = { Variable: string } & (
  | { IsPresent: boolean }
  | { BooleanEquals: boolean }
  | { StringEquals: string }
  | { NumericGreaterThanEquals: number }
);

export interface Succeed {
  Type: "Succeed";
  Comment?: string;
}

export interface Fail {
  Type: "Fail";
  ErrorPath: string;
  CausePath: string;
}

export interface Retrier {
  ErrorEquals: readonly string[];
  IntervalSeconds: number;
  BackoffRate?: number;
  MaxAttempts: number;
  MaxDelaySeconds?: number;
  JitterStrategy?: "FULL" | "NONE";
}

export interface Catcher {
  ErrorEquals: readonly string[];
  ResultPath: string;
  Next: string;
}
