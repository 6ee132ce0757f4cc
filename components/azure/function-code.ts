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
    // What breaks off has no status.
    const { status, said } = await fetch(`${site}/api/publish`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/zip" },
      body: zip,
    })
      .then(async (answer) => ({ status: answer.status, said: await answer.text() }))
      .catch((error: Error) => ({ status: 0, said: String(error.cause ?? error) }));
    if (status >= 200 && status < 300) {
      id = said.trim().replace(/^"|"$/g, "");
      if (id === "") throw new Error(`${host} has taken the app's code, and does not say as which deployment: its answer is empty.`);
    } else if (status >= 400 && status < 500 && ![401, 403, 404, 408, 409, 429].includes(status)) {
      throw new Error(`${host} does not take the app's code: ${status} ${said}`);
    } else if (Date.now() > until) {
      throw new Error(`${host} has not taken the app's code for ten minutes: ${status || "no answer,"} ${said}`);
    } else {
      // A new site is known by its name, and to its roles, only after a while.
      await new Promise((resolve) => setTimeout(resolve, 5_000));
    }
  }

  let answered = false;
  let missed = 0;
  for (;;) {
    // A site that restarts with its new code breaks connections off.
    const { code, after, text } = await fetch(`${site}/api/deployments/${encodeURIComponent(id)}`, { headers })
      .then(async (answer) => ({ code: answer.status, after: Number(answer.headers.get("retry-after") ?? 1), text: await answer.text() }))
      .catch((error: Error) => ({ code: 0, after: 1, text: String(error.cause ?? error) }));
    if (code === 404) {
      // What was there and is gone has been restarted by its own success.
      if (answered) return;
      missed += 1;
      if (missed > 3) throw new Error(`${host} knows nothing of the deployment ${id}.`);
    } else if (code >= 200 && code < 300) {
      answered = true;
      const { status, status_text: words, message } = JSON.parse(text) as { status: number; status_text?: string; message?: string };
      if (status === 4) return;
      if ([-1, 3, 5, 6].includes(status)) {
        const outcome = status === -1 ? "was cancelled" : status === 5 ? "met another one" : status === 6 ? "succeeded in part" : "failed";
        throw new Error(`The deployment ${id} on ${host} ${outcome}: ${words || message || text}`);
      }
    } else if (code >= 300 && code < 500 && code !== 429) {
      throw new Error(`${host} does not say how the deployment ${id} goes: ${code} ${text}`);
    }
    if (Date.now() > until) throw new Error(`The deployment ${id} on ${host} has not ended within ten minutes.`);
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
