import * as pulumi from "@pulumi/pulumi";

interface Code {
  /** Host name of the app's deployment site. */
  host: string;
  /** The zip, from the folder that the program runs in. */
  path: string;
  /** Of the zip, hex. */
  sha256: string;
  /** For Azure Resource Manager. */
  token: string;
}

/*
 * Pulumi keeps a dynamic provider as text and runs it elsewhere: these functions import within, refer only to each other, and define no named
 * functions within (tsx would have them refer to a helper of its own).
 */

/** As Azure's own developer CLI does it: the zip is posted to the deployment site, which then is asked until it is done. */
async function publish({ host, path, sha256, token }: Code): Promise<void> {
  const { readFile } = await import("node:fs/promises");
  const { createHash } = await import("node:crypto");
  const zip = await readFile(path);
  const found = createHash("sha256").update(zip).digest("hex");
  if (found !== sha256) throw new Error(`${path} is not the package that was announced: its SHA-256 is ${found}, not ${sha256}.`);
  // The embedded cloud is on this machine, without certificates.
  const site = `${/^(127\.0\.0\.1|localhost)(:|$)/.test(host) ? "http" : "https"}://${host}`;
  const headers = { authorization: `Bearer ${token}` };
  const until = Date.now() + 600_000;

  let id = "";
  while (id === "") {
    const posted: Response | Error = await fetch(`${site}/api/publish`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/zip" },
      body: zip,
    }).catch((error: Error) => error);
    const said: string = posted instanceof Error ? String(posted.cause ?? posted) : `${posted.status} ${await posted.text()}`;
    // Not `instanceof Response`: servers in this process may have put a class of their own there.
    if (!(posted instanceof Error) && posted.ok) {
      id = String(said.slice(4).replace(/^"|"$/g, ""));
    } else if (!(posted instanceof Error) && ![401, 403, 404, 408, 409, 429].includes(posted.status) && posted.status < 500) {
      throw new Error(`${host} does not take the app's code: ${said}`);
    } else if (Date.now() > until) {
      throw new Error(`${host} has not taken the app's code for ten minutes: ${said}`);
    } else {
      // A new site is known by its name, and to its roles, only after a while.
      await new Promise((resolve) => setTimeout(resolve, 5_000));
    }
  }

  let answered = false;
  let missed = 0;
  for (;;) {
    const response = await fetch(`${site}/api/deployments/${encodeURIComponent(id)}`, { headers });
    const text = await response.text();
    if (response.status === 404) {
      // What was there and is gone has been restarted by its own success.
      if (answered) return;
      missed += 1;
      if (missed > 3) throw new Error(`${host} knows nothing of the deployment ${id}.`);
    } else if (response.ok) {
      answered = true;
      const { status, status_text: words, message } = JSON.parse(text) as { status: number; status_text?: string; message?: string };
      if (status === 4) return;
      if ([-1, 3, 5, 6].includes(status)) {
        const outcome = status === -1 ? "was cancelled" : status === 5 ? "met another one" : status === 6 ? "succeeded in part" : "failed";
        throw new Error(`The deployment ${id} on ${host} ${outcome}: ${words || message || text}`);
      }
    } else if (response.status < 500 && response.status !== 429) {
      throw new Error(`${host} does not say how the deployment ${id} goes: ${response.status} ${text}`);
    }
    if (Date.now() > until) throw new Error(`The deployment ${id} on ${host} has not ended within ten minutes.`);
    const after = Number(response.headers.get("retry-after") ?? 1);
    await new Promise((resolve) => setTimeout(resolve, Math.min(after > 0 ? after : 1, 30) * 1_000));
  }
}

const provider: pulumi.dynamic.ResourceProvider<Code, Omit<Code, "token">> = {
  async check(_olds, news) {
    const valid = typeof news.sha256 !== "string" || /^[0-9a-f]{64}$/.test(news.sha256);
    return { inputs: news, failures: valid ? [] : [{ property: "sha256", reason: `sha256 is ${news.sha256}: it must be 64 hex digits.` }] };
  },
  async create(inputs) {
    await publish(inputs);
    return { id: inputs.host, outs: { host: inputs.host, path: inputs.path, sha256: inputs.sha256 } };
  },
  async read(id, props) {
    return { id, props: props as Code };
  },
  async diff(_id, olds, news) {
    // The token is another one each time, and where the zip lies does not matter.
    return { changes: olds.sha256 !== news.sha256 || olds.host !== news.host, replaces: olds.host !== news.host ? ["host"] : [] };
  },
  async update(_id, _olds, news) {
    await publish(news);
    return { outs: { host: news.host, path: news.path, sha256: news.sha256 } };
  },
  /** The code goes with the app. */
  async delete() {},
};

/** Options of {@link FunctionCode}. */
export interface FunctionCodeArgs {
  /** Host name of the app's deployment site: of `hostNameSslStates`, the one of type `Repository`. */
  host: pulumi.Input<string>;
  /** The zip, from the folder that the program runs in. */
  path: pulumi.Input<string>;
  /** Of the zip, hex: another one is published. */
  sha256: pulumi.Input<string>;
  /** A token for Azure Resource Manager. */
  token: pulumi.Input<string>;
}

/** The code of a Function App on the Flex Consumption plan. Azure Resource Manager has no resource for it that takes a file. */
export class FunctionCode extends pulumi.dynamic.Resource {
  declare readonly sha256: pulumi.Output<string>;

  constructor(name: string, { token, ...args }: FunctionCodeArgs, opts?: pulumi.CustomResourceOptions) {
    super(provider, name, { ...args, token: pulumi.secret(token) }, opts, "azure", "FunctionCode");
  }
}
