import * as communication from "@pulumi/azure-native/communication/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { tagged } from "../core/options.js";
import type { Group } from "./group.js";

/** Options of {@link Email}. */
export interface EmailArgs extends Group {
  /**
   * Where Azure keeps the mails while they are under way.
   * @default "Europe"
   */
  dataLocation?: string;
  /** Changes to the resources underneath. */
  transform?:
    | {
        service?: Transform<communication.EmailServiceArgs>;
        domain?: Transform<communication.DomainArgs>;
        communication?: Transform<communication.CommunicationServiceArgs>;
      }
    | undefined;
}

/** Sends mail from an address under a domain of Azure's: at first 30 a minute and 100 an hour. */
export class Email extends Component<"service" | "domain" | "communication"> {
  /** Resource id of what sends. */
  readonly id: pulumi.Output<string>;
  /** `https://…`, without a slash at the end. */
  readonly endpoint: pulumi.Output<string>;
  /** The address that mails come from. */
  readonly sender: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: {
    service: communication.EmailService;
    domain: communication.Domain;
    communication: communication.CommunicationService;
  };

  constructor(name: string, args: EmailArgs, opts?: pulumi.ComponentResourceOptions) {
    super("azure:Email", name, { children: ["service", "domain", "communication"], transform: args.transform }, opts);
    const { resourceGroupName, dataLocation = "Europe" } = args;
    const common = { resourceGroupName, location: "global", ...tagged(args) };
    const service = this.create("service", communication.EmailService, { ...common, dataLocation });
    const domain = this.create("domain", communication.Domain, {
      ...common,
      emailServiceName: service.name,
      domainName: "AzureManagedDomain",
      domainManagement: "AzureManaged",
    });
    const sending = this.create("communication", communication.CommunicationService, {
      ...common,
      dataLocation,
      linkedDomains: [domain.id],
      disableLocalAuth: true,
    });
    this.nodes = { service, domain, communication: sending };
    this.id = sending.id;
    this.endpoint = pulumi.interpolate`https://${sending.hostName}`;
    this.sender = pulumi.interpolate`DoNotReply@${domain.fromSenderDomain}`;
    this.registerOutputs({ sender: this.sender });
  }
}
