/** The import rules of the house. `npm run lint` checks them; docs/house.md explains them. */
/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: "no-circular",
      severity: "error",
      comment: "A cycle means that two files are one thing. Types may refer to each other.",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "contract-knows-no-cloud",
      severity: "error",
      comment: "The contract and components/core are what both clouds share.",
      from: { path: "^components/(contract\\.ts|core/)" },
      to: {
        path: ["^components/(aws|azure)/", "^node_modules/@pulumi/(aws|azure-native|kubernetes)/", "^functions/(aws|azure|container)/"],
      },
    },
    {
      name: "clouds-do-not-meet",
      severity: "error",
      comment: "components/aws and components/azure never import each other; nor do the functions of two clouds.",
      from: { path: "^(components|functions|stacks)/(aws|azure)/" },
      to: { path: "^(components|functions|stacks)/(aws|azure|container)/", pathNot: "^(components|functions|stacks)/$2/" },
    },
    {
      name: "container-is-azures-other-host",
      severity: "error",
      comment: "The container shares Azure's adapters and stages, and nothing of Functions.",
      from: { path: "^functions/container/" },
      to: { path: ["^functions/aws/", "^functions/azure/(app|app-module|http|orchestration|register|starter)\\.ts$"] },
    },
    {
      name: "core-is-pure",
      severity: "error",
      comment: "functions/core is what happens to an image: no cloud SDK, no host.",
      from: { path: "^functions/core/" },
      to: {
        path: ["^functions/(aws|azure|container)/", "^components/", "^local/", "^cli/", "^node_modules/(@aws-sdk|@azure|@pulumi|@smithy)/"],
      },
    },
    {
      name: "functions-never-import-pulumi",
      severity: "error",
      comment: "Handlers are what the program packages, not part of the program.",
      from: { path: "^functions/" },
      to: { path: ["^node_modules/@pulumi/", "^components/", "^stacks/", "^local/", "^cli/"] },
    },
    {
      name: "components-do-not-run-handlers",
      severity: "error",
      comment: "Components share only the settings' vocabulary with the handlers; they refer to handlers by path.",
      from: { path: "^components/" },
      to: { path: "^functions/", pathNot: "^functions/core/(settings|failures)\\.ts$" },
    },
    {
      name: "local-knows-no-product",
      severity: "error",
      comment: "The embedded cloud knows Pulumi programs and cloud APIs, never this product.",
      from: { path: "^local/" },
      to: { path: "^(components|functions|stacks|cli|web|samples)/" },
    },
    {
      name: "services-do-not-meet",
      severity: "error",
      comment: "A service of the embedded cloud reaches another only through the kernel. What looks at pictures is shared by both clouds.",
      from: { path: "^local/services/([^/]+)/([^/.]+)" },
      to: { path: "^local/services/", pathNot: ["^local/services/$1/$2", "^local/services/vision/"] },
    },
    {
      name: "product-does-not-know-the-embedded-cloud",
      severity: "error",
      comment: "The program that runs embedded is the program that is deployed.",
      from: { path: "^(components|functions|stacks|web)/" },
      to: { path: "^(local|cli)/" },
    },
    {
      name: "not-to-unresolvable",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^virtual:" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: ["^node_modules/.*/node_modules", "^\\.build/"] },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default", "types"] },
  },
};
