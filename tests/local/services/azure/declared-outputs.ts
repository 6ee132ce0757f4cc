import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import ts from "typescript";
import type { EmbeddedCloud } from "../../../../local/kernel/embedded-cloud.js";

const SDK = dirname(createRequire(import.meta.url).resolve("@pulumi/azure-native/package.json"));

/** What is wrong with the outputs of everything of Azure in a cloud: declared ones that are missing, and ones that the SDK does not know. */
export async function outputProblems({ services, resources }: EmbeddedCloud): Promise<string[]> {
  const types = services.flatMap((service) => Object.keys(service.resources ?? {})).filter((type) => type.startsWith("azure-native:"));
  const problems = await Promise.all(
    types.map(async (type) => {
      const { outputs, required } = await declarationOf(type);
      return resources.all(type).flatMap((resource) => {
        const given = Object.keys(resource.outputs).filter(
          (name) => resource.outputs[name] !== undefined && resource.outputs[name] !== null,
        );
        return [
          ...[...required].filter((name) => !given.includes(name)).map((name) => `${type}: the output ${name} is missing`),
          ...given.filter((name) => !outputs.has(name)).map((name) => `${type}: the SDK declares no output ${name}`),
        ];
      });
    }),
  );
  return [...new Set(problems.flat())].sort();
}

/** Reads the SDK's declaration file of `"azure-native:storage:Queue"`. @throws where there is none */
async function declarationOf(type: string): Promise<{ outputs: Set<string>; required: Set<string> }> {
  const [, module = "", className = ""] = type.split(":");
  const file = join(SDK, module, `${className.charAt(0).toLowerCase()}${className.slice(1)}.d.ts`);
  const source = ts.createSourceFile("resource.d.ts", await readFile(file, "utf8"), ts.ScriptTarget.Latest, true);
  const declared = source.statements.find((each) => ts.isClassDeclaration(each) && each.name?.text === className);
  if (!declared || !ts.isClassDeclaration(declared)) throw new Error(`${type}: the SDK has no class ${className}.`);
  const found = declared.members.flatMap((member) => {
    if (!ts.isPropertyDeclaration(member) || !member.type || !ts.isTypeReferenceNode(member.type)) return [];
    const [value] = member.type.typeArguments ?? [];
    if (member.type.typeName.getText() !== "pulumi.Output" || !value) return [];
    const optional = ts.isUnionTypeNode(value) && value.types.some(({ kind }) => kind === ts.SyntaxKind.UndefinedKeyword);
    return [{ name: member.name.getText(), optional }];
  });
  return {
    outputs: new Set(found.map(({ name }) => name)),
    required: new Set(found.filter(({ optional }) => !optional).map(({ name }) => name)),
  };
}
