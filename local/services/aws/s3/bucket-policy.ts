import { validatePolicy } from "../../../kernel/aws/policy.js";
import { CloudError, type PolicyDocument, type Statement } from "../../../kernel/service.js";

/** A policy as S3 takes it onto a bucket. @throws CloudError MalformedPolicy */
export function bucketPolicy(policy: string | PolicyDocument, bucketArn: string): PolicyDocument {
  const document = validatePolicy(policy, "resource", "MalformedPolicy");
  for (const statement of statementsOf(document))
    for (const resource of [statement.Resource ?? statement.NotResource ?? []].flat())
      if (resource !== bucketArn && !resource.startsWith(`${bucketArn}/`) && resource !== "*")
        throw new CloudError("MalformedPolicy", `Policy has invalid resource: ${resource} is not ${bucketArn} or beneath it.`);
  return document;
}

/** Condition keys that, with fixed values, keep a policy for everybody from being public. */
const FENCES = /^aws:(Source(Arn|Account|Vpc|Vpce|Owner|OrgID)|Principal(Account|Arn|OrgID|OrgPaths)|userid|username)$/i;

/** What S3 calls public: anyone is allowed, and no condition says who. */
export const isPublic = (policy: PolicyDocument): boolean =>
  statementsOf(policy).some(
    ({ Effect, Principal, NotPrincipal, Condition = {} }) =>
      Effect === "Allow" &&
      (NotPrincipal !== undefined || everybody(Principal)) &&
      !Object.entries(Condition).some(
        ([operator, keys]) =>
          /Equals|Like/.test(operator) &&
          !/Not/.test(operator) &&
          Object.entries(keys).some(([key, value]) => FENCES.test(key) && ![value].flat().includes("*")),
      ),
  );

const everybody = (principal: Statement["Principal"]): boolean =>
  principal === "*" || (typeof principal === "object" && [principal.AWS ?? []].flat().includes("*"));

const statementsOf = ({ Statement: statements }: PolicyDocument): Statement[] => [statements].flat();
