import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { armResource, resourceId, sameId } from "../../kernel/azure/arm.js";
import { tokenGuard } from "../../kernel/azure/authority.js";
import { json, restProtocol } from "../../kernel/azure/rest.js";
import type { Cloud } from "../../kernel/cloud.js";
import { CloudError, type Properties, type Resource, type ResourceType, type Service } from "../../kernel/service.js";

const SERVICE = "azure-native:communication:CommunicationService";
const EMAIL_SERVICE = "azure-native:communication:EmailService";
const DOMAIN = "azure-native:communication:Domain";
/** Host names have no paths: it is an endpoint of its own, which the sender's domain tells services apart on. */
const ENDPOINT = "communication";
const API = "2025-05-01";

/** Mails that one service takes at first, and within how many milliseconds. */
const RATES = [
  { most: 30, within: 60_000 },
  { most: 100, within: 3_600_000 },
];

/** Communication Services' e-mail: a mail becomes a file in the service's folder and a `message` in the trace. */
export default function communication(): Service {
  let outbox = "";
  /** When each service took mails, in milliseconds. */
  const taken = new Map<string, number[]>();
  return {
    name: "communication",
    async start(_cloud, folder) {
      outbox = folder;
    },
    resources,
    api: {
      endpoints: [ENDPOINT],
      guard: tokenGuard("https://communication.azure.com"),
      protocol: restProtocol([
        { operation: "SendEmail", method: "POST", path: /^\/emails:send$/ },
        { operation: "GetSendResult", method: "GET", path: /^\/emails\/operations\/(?<id>[0-9a-f-]{36})$/ },
      ]),
      operations: {
        SendEmail: {
          needs: (input, cloud) => [
            { action: "Microsoft.Communication/CommunicationServices/Write", resource: serviceOf(readMail(input), cloud).id },
          ],
          async handle(input, { cloud }) {
            const mail = readMail(input);
            const { senderAddress: from, recipients, content } = mail;
            const service = serviceOf(mail, cloud);
            const before = taken.get(service.id) ?? [];
            const now = cloud.now().getTime();
            const waits = RATES.map(({ most, within }) => (before.at(-most) ?? -Infinity) + within - now).filter((wait) => wait > 0);
            if (waits.length > 0) {
              const error = { code: "TooManyRequests", message: "Rate limit exceeded: 30 mails a minute, and 100 an hour." };
              const refused = json(429, { error });
              const seconds = String(Math.ceil(Math.max(...waits) / 1_000));
              return { response: { ...refused, headers: { ...refused.headers, "retry-after": seconds } } };
            }
            taken.set(service.id, [...before, now].slice(-Math.max(...RATES.map(({ most }) => most))));
            const id = randomUUID();
            const to = recipients.to.map(({ address }: Properties) => address).join(", ");
            const text = [
              `Date: ${cloud.now().toUTCString()}`,
              `From: ${from}`,
              `To: ${to}`,
              `Subject: ${content.subject}`,
              "",
              content.plainText ?? content.html,
            ];
            const file = join(outbox, `${id}.eml`);
            await writeFile(file, text.join("\n"));
            cloud.trace.add({
              kind: "message",
              subject: service.outputs.name,
              text: `E-mail to ${to}: ${content.subject}`,
              detail: { to, subject: content.subject, body: content.plainText ?? content.html, file },
            });
            const { url } = await cloud.secure(ENDPOINT);
            const response = json(202, { id, status: "Running" });
            return {
              response: {
                ...response,
                headers: { ...response.headers, "operation-location": `${url}/emails/operations/${id}`, "retry-after": "1" },
              },
            };
          },
        },
        GetSendResult: { needs: () => [], handle: async ({ id }) => ({ id, status: "Succeeded" }) },
      },
    },
  };
}

function readMail({ body, query }: Properties): Properties {
  const wrong = (message: string) => new CloudError("BadRequest", message, 400);
  if (!query["api-version"]) throw wrong("The query parameter api-version is missing.");
  let mail: Properties;
  try {
    mail = JSON.parse(body.toString());
  } catch {
    throw wrong("The body is not JSON.");
  }
  if (typeof mail.senderAddress !== "string") throw wrong("senderAddress is missing.");
  if (!Array.isArray(mail.recipients?.to) || mail.recipients.to.length === 0) throw wrong("recipients.to is missing.");
  if (!mail.content?.subject || (!mail.content.plainText && !mail.content.html))
    throw wrong("content needs a subject and plainText or html.");
  return mail;
}

/** The service that a mail's sender belongs to: the one that its domain is linked to. */
function serviceOf({ senderAddress }: Properties, { resources: registry }: Cloud): Resource {
  const domain = registry.all(DOMAIN).find(({ outputs }) => sameId(outputs.fromSenderDomain, senderAddress.split("@")[1]));
  const service = registry.all(SERVICE).find(({ outputs }) => (outputs.linkedDomains ?? []).some((id: string) => sameId(id, domain?.id)));
  if (!domain || !service)
    throw new CloudError("DomainNotLinked", `The domain of the sender ${senderAddress} is not linked to a communication service.`, 404);
  return service;
}

const resources: Record<string, ResourceType> = {
  [EMAIL_SERVICE]: armResource({
    type: "Microsoft.Communication/emailServices",
    apiVersion: API,
    inputs: ["resourceGroupName", "emailServiceName", "location", "tags", "dataLocation"],
    named: { input: "emailServiceName", maxLength: 63, style: "plain" },
    replacedBy: ["dataLocation"],
    location: "global",
    systemData: true,
    outputs: ({ dataLocation }) => ({ dataLocation, provisioningState: "Succeeded" }),
  }),

  [DOMAIN]: armResource({
    type: "Microsoft.Communication/emailServices/domains",
    apiVersion: API,
    inputs: ["resourceGroupName", "emailServiceName", "domainName", "location", "tags", "domainManagement", "userEngagementTracking"],
    named: { input: "domainName", style: "plain" },
    replacedBy: ["emailServiceName", "domainManagement"],
    location: "global",
    systemData: true,
    id: ({ resourceGroupName, emailServiceName, domainName }) =>
      resourceId(resourceGroupName, "Microsoft.Communication/emailServices/domains", emailServiceName, domainName),
    check(inputs) {
      if (inputs.domainManagement !== "AzureManaged" || inputs.domainName !== "AzureManagedDomain") {
        throw new CloudError(
          "FeatureNotSupported",
          `The domain is "${inputs.domainName}" (${inputs.domainManagement}): the embedded cloud has the domain "AzureManagedDomain" (AzureManaged).`,
        );
      }
      return inputs;
    },
    outputs({ domainManagement, userEngagementTracking, emailServiceName }, { cloud, before }) {
      const service = cloud.resources.all(EMAIL_SERVICE).find(({ outputs }) => outputs.name === emailServiceName);
      if (!service) throw new CloudError("ResourceNotFound", `There is no e-mail service "${emailServiceName}".`, 404);
      const domain: string = before?.outputs.fromSenderDomain ?? `${randomUUID()}.azurecomm.net`;
      return {
        domainManagement,
        userEngagementTracking,
        dataLocation: service.outputs.dataLocation,
        fromSenderDomain: domain,
        mailFromSenderDomain: domain,
        provisioningState: "Succeeded",
        verificationRecords: {},
        verificationStates: {},
      };
    },
  }),

  [SERVICE]: armResource({
    type: "Microsoft.Communication/communicationServices",
    apiVersion: API,
    inputs: ["resourceGroupName", "communicationServiceName", "location", "tags", "dataLocation", "linkedDomains", "disableLocalAuth"],
    named: { input: "communicationServiceName", maxLength: 63, style: "plain" },
    replacedBy: ["dataLocation"],
    location: "global",
    systemData: true,
    outputs: async ({ dataLocation, linkedDomains, disableLocalAuth }, { cloud, before }) => ({
      dataLocation,
      linkedDomains,
      disableLocalAuth,
      hostName: new URL((await cloud.secure(ENDPOINT)).url).host,
      immutableResourceId: before?.outputs.immutableResourceId ?? randomUUID(),
      notificationHubId: "",
      provisioningState: "Succeeded",
      version: "0.1.0",
    }),
  }),
};
