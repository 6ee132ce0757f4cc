import { queryProtocol } from "../../kernel/aws/protocols/query.js";
import type { Principal, Service } from "../../kernel/service.js";

/** Where and as whom a program runs; beside the functions, STS says it to whoever asks. */
export default function account(): Service {
  return {
    name: "sts",

    functions: {
      "aws:index/getCallerIdentity:getCallerIdentity": async (_args, { account, partition }) => ({
        id: account,
        accountId: account,
        arn: `arn:${partition}:iam::${account}:root`,
        userId: account,
      }),

      "aws:index/getRegion:getRegion": async (_args, { region, url }) => ({
        id: region,
        name: region,
        region,
        description: `The embedded cloud, as ${region}`,
        endpoint: new URL(url).host,
      }),

      "aws:index/getPartition:getPartition": async (_args, { partition }) => ({
        id: partition,
        partition,
        dnsSuffix: "amazonaws.com",
        reverseDnsPrefix: "com.amazonaws",
      }),
    },

    api: {
      protocol: queryProtocol({ signing: "sts", version: "2011-06-15", namespace: "https://sts.amazonaws.com/doc/2011-06-15/" }),
      operations: {
        GetCallerIdentity: {
          needs: () => [],
          handle: async (_input, { principal, cloud }) => ({ Arn: arnOf(principal), UserId: cloud.account, Account: cloud.account }),
        },
      },
    },
  };
}

const arnOf = (principal: Principal) => ("arn" in principal ? principal.arn : "");
