import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { Command } from "./command.js";

async function refused(...args: string[]): Promise<string> {
  const command = new Command(...args);
  assert.equal(await command.ended(), 2, command.stderr);
  assert.equal(command.stdout, "");
  return command.stderr;
}

describe("npm start, asked for what cannot be", () => {
  it("names the stacks there are when it does not know one", async () => {
    assert.match(await refused("nowhere"), /no stack "nowhere".*There are: aws, azure, azure-kubernetes, dev/s);
  });

  it("does not take a path for a stack", async () => {
    assert.match(await refused("../aws"), /no stack "\.\.\/aws"/);
  });

  it("names the options there are when it does not know one", async () => {
    assert.match(await refused("aws", "--twice"), /--twice is not an option.*--once/s);
  });

  it("says what an option needs", async () => {
    assert.match(await refused("--port"), /--port needs a port number/);
    assert.match(await refused("--port", "http"), /--port is "http".*1 to 65535/);
    assert.match(await refused("--port", "70000"), /--port is "70000"/);
    assert.match(await refused("--data", "--once"), /--data needs a folder/);
    assert.match(await refused("--once=yes"), /--once takes no value/);
  });

  it("checks files before it starts anything", async () => {
    assert.match(await refused("--once", "no-such-photo.jpg"), /"no-such-photo.jpg" cannot be read: it does not exist/);
    assert.match(await refused("--once", "samples"), /"samples" is not a file/);
    assert.match(await refused("--outputs", "no/such/folder/out.json"), /--outputs/);
    assert.match(await refused("--data", "package.json"), /--data: "package.json" cannot be used as a folder/);
  });

  it("does not start on a port that is taken", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      assert.match(await refused("--port", String(port)), new RegExp(`--port ${port} cannot be used: something listens there already`));
    } finally {
      server.close();
    }
  });

  it("runs one stack at a time", async () => {
    assert.match(await refused("aws", "dev"), /"dev" is one argument too many/);
  });

  it("explains itself", async () => {
    const command = new Command("--help");
    assert.equal(await command.ended(), 0);
    for (const option of ["--once", "--port", "--data", "--outputs", "--graph"]) assert.match(command.stdout, new RegExp(option));
  });
});
