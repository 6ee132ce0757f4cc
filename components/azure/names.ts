import { createHash } from "node:crypto";
import { type Input, type Output, output } from "@pulumi/pulumi";

/** Hex digits of the hash: 52 bits, as nobody is to find a name taken. */
const HASH = 13;

/**
 * A name for what has to be unique in all of Azure, where autonaming's is too long or has letters that are not allowed: `name`, cut, and a hash of
 * the resource group's id, which is unique by its subscription and the suffix of its name. Whoever declares it says `ignoreChanges` for it: what
 * has been made keeps its name, as with autonaming, though the component be called otherwise one day.
 *
 * @param separator "" where only letters and digits may be
 */
export function uniqueName(name: string, maxLength: number, groupId: Input<string>, separator: "-" | "" = "-"): Output<string> {
  const plain = separator ? name : name.replace(/[^a-z0-9]/g, "");
  const cut = plain.slice(0, maxLength - HASH - separator.length).replace(/-+$/, "");
  return output(groupId).apply(
    (id) => `${cut}${separator}${createHash("sha256").update(`${id.toLowerCase()}\0${name}`).digest("hex").slice(0, HASH)}`,
  );
}
