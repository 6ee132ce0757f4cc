declare module "asl-validator" {
  /** Checks a definition in the Amazon States Language; writes defaults into it. */
  export default function validate(
    definition: object,
    options?: { checkPaths?: boolean; checkArn?: boolean },
  ): { isValid: boolean; errorsText: (separator?: string) => string };
}
