import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** Outputs of a resource's class, by name: whether it may be left out. */
export type DeclaredOutputs = ReadonlyMap<string, { optional: boolean }>;

const PACKAGES = join(import.meta.dirname, "../../../node_modules/@pulumi");

/** Kinds that a cluster is taught, such as KEDA's: they have no classes of their own. */
const ofCustomResource = /^kubernetes:[\w.]+\.sh\/\w+:/;
const CUSTOM_RESOURCE = ["kubernetes", "apiextensions", "CustomResource"];

/**
 * The outputs that the SDK's class of a type token declares, read from its declaration: `"aws:s3/bucket:Bucket"` from `aws/s3/bucket.d.ts`,
 * `"azure-native:storage:Queue"` from `azure-native/storage/queue.d.ts`.
 */
export function declaredOutputs(token: string): DeclaredOutputs {
  const [pkg = "", group = "", name = ""] = ofCustomResource.test(token) ? CUSTOM_RESOURCE : token.split(":");
  // `networking.k8s.io/v1` is `networking/v1` in the SDK.
  const module = group.replace(".k8s.io/", "/");
  const file = `${name.charAt(0).toLowerCase()}${name.slice(1)}.d.ts`;
  // AWS's modules name the file already.
  const path = [join(PACKAGES, pkg, `${module}.d.ts`), join(PACKAGES, pkg, module, file)].find((candidate) => existsSync(candidate));
  if (!path) throw new Error(`There is no declaration of ${token} among the SDKs.`);
  const source = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest);
  const declared = source.statements.find((statement) => ts.isClassDeclaration(statement) && statement.name?.text === name);
  if (!declared) throw new Error(`${path} declares no class ${name}.`);
  const outputs = (declared as ts.ClassDeclaration).members.flatMap((member) => output(member, source) ?? []);
  // What its kind has beside, the class of all custom resources cannot know.
  return new Map(module === "apiextensions" ? [...outputs, ["spec", { optional: true }], ["status", { optional: true }]] : outputs);
}

function output(member: ts.ClassElement, source: ts.SourceFile): [[string, { optional: boolean }]] | undefined {
  if (!ts.isPropertyDeclaration(member) || !member.type || !ts.isTypeReferenceNode(member.type)) return undefined;
  if (member.type.typeName.getText(source) !== "pulumi.Output") return undefined;
  const [type] = member.type.typeArguments ?? [];
  const optional = type !== undefined && ts.isUnionTypeNode(type) && type.types.some(({ kind }) => kind === ts.SyntaxKind.UndefinedKeyword);
  return [[member.name.getText(source), { optional }]];
}
