import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import ts from "typescript";
import type { EmbeddedCloud } from "../../../../local/kernel/embedded-cloud.js";
import type { Properties } from "../../../../local/kernel/service.js";

/** What the SDK declares of a resource type. */
export interface Declaration {
  /** Every output. */
  outputs: Set<string>;
  /** Outputs that are there always; deprecated ones are not asked for. */
  required: Set<string>;
  /** Every input. */
  inputs: Set<string>;
}

const SDK = dirname(createRequire(import.meta.url).resolve("@pulumi/aws/package.json"));
const declarations = new Map<string, Promise<Declaration>>();

/** Reads what the SDK's declaration file says of a type token such as `"aws:s3/bucket:Bucket"`. @throws where there is none. */
export function declarationOf(type: string): Promise<Declaration> {
  const known = declarations.get(type) ?? read(type);
  declarations.set(type, known);
  return known;
}

/** How outputs differ from what the SDK declares: required ones that are missing, and ones that it does not know. */
export async function outputProblems(type: string, outputs: Properties): Promise<string[]> {
  const declared = await declarationOf(type);
  const given = Object.keys(outputs).filter((name) => outputs[name] !== undefined && outputs[name] !== null);
  return [
    ...[...declared.required].filter((name) => !given.includes(name)).map((name) => `${type}: the output ${name} is missing`),
    ...given.filter((name) => !declared.outputs.has(name)).map((name) => `${type}: the SDK declares no output ${name}`),
  ];
}

/** The same over everything of AWS that exists in a cloud. */
export async function registryProblems({ services, resources }: EmbeddedCloud): Promise<string[]> {
  const types = services.flatMap((service) => Object.keys(service.resources ?? {})).filter((type) => type.startsWith("aws:"));
  const existing = types.flatMap((type) => resources.all(type));
  const problems = await Promise.all(existing.map(({ type, outputs }) => outputProblems(type, outputs)));
  return [...new Set(problems.flat())].sort();
}

async function read(type: string): Promise<Declaration> {
  const [, path = "", className = ""] = type.split(":");
  const text = await readFile(join(SDK, `${path.replace(/^index\//, "")}.d.ts`), "utf8");
  const source = ts.createSourceFile("resource.d.ts", text, ts.ScriptTarget.Latest, true);
  const named = (name: string) =>
    source.statements.find(
      (statement): statement is ts.ClassDeclaration | ts.InterfaceDeclaration =>
        (ts.isClassDeclaration(statement) || ts.isInterfaceDeclaration(statement)) && statement.name?.text === name,
    );
  const resource = named(className);
  if (!resource) throw new Error(`${type}: the SDK has no class ${className}.`);
  const outputs = [...resource.members].flatMap((member) => output(member) ?? []);
  const inputs = [...(named(`${className}Args`)?.members ?? [])].flatMap((member) =>
    ts.isPropertySignature(member) ? member.name.getText() : [],
  );
  return {
    outputs: new Set(outputs.map(({ name }) => name)),
    required: new Set(outputs.filter(({ required }) => required).map(({ name }) => name)),
    inputs: new Set(inputs),
  };
}

/** Of `readonly name: pulumi.Output<T>`. */
function output(member: ts.ClassElement | ts.TypeElement): { name: string; required: boolean } | undefined {
  if (!ts.isPropertyDeclaration(member) || !member.type || !ts.isTypeReferenceNode(member.type)) return undefined;
  const [value] = member.type.typeArguments ?? [];
  if (member.type.typeName.getText() !== "pulumi.Output" || !value) return undefined;
  const optional = ts.isUnionTypeNode(value) && value.types.some(({ kind }) => kind === ts.SyntaxKind.UndefinedKeyword);
  const deprecated = ts.getJSDocDeprecatedTag(member) !== undefined;
  return { name: member.name.getText(), required: !optional && !deprecated };
}
