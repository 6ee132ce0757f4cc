import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import type { Environment } from "./containers.js";

export interface Announced {
  id: string;
  subject: string;
  data: { key: string; status: string; user?: string };
}

/** An Event Grid topic, and the endpoint that gives tokens for it: what is announced, as it comes. */
export async function testTopic(): Promise<{ environment: Environment; announced: Announced[]; stop(): Promise<void> }> {
  const announced: Announced[] = [];
  const server = createServer(async (request, response) => {
    if (request.url?.startsWith("/token")) {
      const expires_on = String(Math.floor(Date.now() / 1_000) + 3_600);
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ access_token: "token", expires_on, token_type: "Bearer", resource: "https://eventgrid.azure.net" }));
      return;
    }
    if (request.headers.authorization === "Bearer token") announced.push(...((await json(request)) as Announced[]));
    else response.statusCode = 401;
    response.end();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    announced,
    environment: {
      AZURE_CLIENT_ID: "00000000-0000-0000-0000-000000000001",
      IDENTITY_ENDPOINT: `${url}/token`,
      IDENTITY_HEADER: "header",
      TOPIC_ENDPOINT: `${url}/api/events`,
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
