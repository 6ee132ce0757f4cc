import assert from "node:assert/strict";
import { isBehind } from "../../../functions/azure/backlog.js";
import { routeOf } from "../../../functions/container/routes.js";

describe("Processors that are behind with their work", () => {
  const now = new Date("2026-11-21T12:00:00.000Z");
  const behind = (secondsAgo?: number) => {
    const front = secondsAgo === undefined ? [] : [{ insertedOn: new Date(now.getTime() - secondsAgo * 1_000) }];
    return isBehind({ peekMessages: async () => ({ peekedMessageItems: front }) as never }, { now: () => now });
  };

  it("do not take what waits for what is lost: the message in front tells", async () => {
    assert.deepEqual([await behind(), await behind(10), await behind(299), await behind(301)], [false, false, false, true]);
  });
});

describe("The uploader's routes", () => {
  it("are told without the images' names", () => {
    const routes = {
      "/": "/",
      "/upload": "/upload",
      "/images": "/images",
      "/images/uploads/a%20b.png": "/images/{key}",
      "/images/uploads/ann/cat.png/status": "/images/{key}/status",
      "/images/x/redrive": "/images/{key}/redrive",
      "/assets/page-1a2b.js": "/assets/{file}",
      "/wp-login.php": "other",
    };
    for (const [path, route] of Object.entries(routes)) assert.equal(routeOf(path), route, path);
  });
});
