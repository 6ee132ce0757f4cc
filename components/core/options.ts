import type { CustomResourceOptions } from "@pulumi/pulumi";

/** What stores of data are told of their end. */
export interface StoreOptions {
  /**
   * `"destroy"`: `pulumi destroy` removes the data too. `"retain"`: they outlive the stack.
   * @default "destroy"
   */
  removal?: "destroy" | "retain";

  /** Tags on every resource that carries them. */
  tags?: Record<string, string> | undefined;
}

/** Tags as an argument, left out where there are none. */
export function tagged({ tags }: { tags?: Record<string, string> | undefined }): { tags?: Record<string, string> } {
  return tags ? { tags } : {};
}

/** Options of a resource whose data may have to outlive the stack. */
export function kept({ removal }: StoreOptions): CustomResourceOptions {
  return removal === "retain" ? { retainOnDelete: true } : {};
}
