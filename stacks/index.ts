import * as pulumi from "@pulumi/pulumi";
import { InvalidArgument } from "../components/core/errors.js";

/** The program of each cloud; imported only when it is meant, with its SDK. */
const PROGRAMS: Readonly<Record<string, () => Promise<{ default: () => Promise<pulumi.Inputs> }>>> = {
  aws: () => import("./aws/index.js"),
  azure: () => import("./azure/index.js"),
};

/** Runs the program that `image-pipeline:cloud` names. */
export default async function program(): Promise<pulumi.Inputs> {
  const cloud = new pulumi.Config("image-pipeline").get("cloud");
  const load = cloud !== undefined && Object.hasOwn(PROGRAMS, cloud) ? PROGRAMS[cloud] : undefined;
  if (!load) {
    throw new InvalidArgument(
      "config image-pipeline:cloud",
      cloud,
      Object.keys(PROGRAMS)
        .map((name) => JSON.stringify(name))
        .join(" or "),
      `Set it with \`pulumi config set image-pipeline:cloud ${Object.keys(PROGRAMS)[0]}\`.`,
    );
  }
  return (await load()).default();
}
