import assert from "node:assert/strict";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { launchBrowser } from "../browser.js";
import * as photos from "../photos.js";
import { KEY, Site, type TicketKind } from "./site.js";

/** Runs in the page: a stopped request or style is told of like an error. */
const REPORT_VIOLATIONS = `document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => reportViolation("CSP " + violatedDirective + " " + blockedURI));`;

describe("The page", () => {
  let browser: Browser;
  const opened: { site: Site; context: BrowserContext; complaints: string[] }[] = [];

  before(async function () {
    browser = await launchBrowser(this);
  });

  after(() => browser?.close());

  afterEach(async () => {
    for (const { site, context, complaints } of opened.splice(0)) {
      await context.close();
      await site.stop();
      assert.deepEqual(complaints, [], "the page runs without complaints of the browser");
    }
  });

  async function open(
    site: Site,
    { key = KEY, ...options }: BrowserContextOptions & { key?: string | null } = {},
    expected: RegExp[] = [],
  ): Promise<Page> {
    await site.start();
    const context = await browser.newContext(options);
    const complaints: string[] = [];
    opened.push({ site, context, complaints });
    const complain = (what: string) => void (expected.some((pattern) => pattern.test(what)) || complaints.push(what));
    await context.exposeFunction("reportViolation", complain);
    await context.addInitScript({ content: REPORT_VIOLATIONS });
    const page = await context.newPage();
    page.on("pageerror", (error) => complain(error.stack ?? error.message));
    page.on("console", (message) => message.type() === "error" && complain(`${message.text()} ${message.location().url}`));
    await page.goto(site.url);
    if (key !== null) await signIn(page, key);
    return page;
  }

  const REFUSED = /status of 401/;
  const CONFLICT = /status of 409/;

  async function signIn(page: Page, key: string): Promise<void> {
    await page.getByLabel("Key or token").fill(key);
    await page.getByRole("button", { name: "Sign in" }).click();
  }

  const jpeg = async (name: string, width = 400, height = 300) => ({
    name,
    mimeType: "image/jpeg",
    buffer: await photos.jpeg(width, height),
  });
  const cards = (page: Page) => page.getByRole("list", { name: "Images" }).getByRole("listitem");

  it("asks for the key, refuses a wrong one, and keeps the right one for the tab only", async () => {
    const page = await open(new Site(), { key: null }, [REFUSED]);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.equal(await page.getByRole("heading", { name: "Drop images here" }).isVisible(), false);
    assert.equal(await page.getByLabel("Key or token").and(page.locator(":focus")).count(), 1);
    await signIn(page, "a-wrong-key");
    await page.getByRole("alert").filter({ hasText: "not taken" }).waitFor();
    await signIn(page, KEY);
    await page.getByText("No images yet").waitFor();
    await page.reload();
    await page.getByText("No images yet").waitFor();
    assert.deepEqual(await page.evaluate("[localStorage.length, document.cookie, sessionStorage.length]"), [0, "", 1]);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.equal(await page.evaluate("sessionStorage.length"), 0);
  });

  it("asks for nothing where nothing is needed", async () => {
    const page = await open(new Site({ auth: { kind: "none" } }), { key: null });
    await page.getByText("No images yet").waitFor();
    assert.equal(await page.getByRole("button", { name: "Sign out" }).isVisible(), false);
  });

  for (const tickets of ["headers", "fields"] satisfies TicketKind[]) {
    it(`uploads straight to the store with a ticket of ${tickets}, and shows the image when it is processed`, async () => {
      const site = new Site({ tickets });
      let release = () => {};
      site.hold = new Promise((resolve) => {
        release = resolve;
      });
      const page = await open(site, {}, [REFUSED]);
      const file = await jpeg("Größe & co.jpg");
      await page.getByLabel("Choose files").setInputFiles(file);
      const card = cards(page).filter({ hasText: "Größe & co.jpg" });
      await card.getByText("Being processed").waitFor();
      assert.match((await page.locator("#live").textContent()) ?? "", /Größe & co\.jpg is uploaded/);
      release();
      await card.getByText("400 × 300 · JPEG").waitFor();
      await card.locator("img.there").waitFor();
      assert.deepEqual(site.uploads.bytes("uploads/Größe & co.jpg"), file.buffer);
      assert.equal(await page.getByRole("list", { name: "Uploads" }).getByRole("listitem").count(), 0);
    });
  }

  it("takes files that are dropped, under the user's name", async () => {
    const site = new Site();
    const page = await open(site, {}, [REFUSED]);
    await page.getByPlaceholder("As user").fill("ada");
    const bytes = (await photos.jpeg(200, 100)).toString("base64");
    const transfer = await page.evaluateHandle(`
      const data = new DataTransfer();
      const bytes = Uint8Array.from(atob("${bytes}"), (char) => char.charCodeAt(0));
      data.items.add(new File([bytes], "dropped.jpg", { type: "image/jpeg" }));
      data`);
    await page.dispatchEvent("header", "dragenter", { dataTransfer: transfer });
    assert.equal(await page.locator("body.dropping").count(), 1, "it shows where files go");
    await page.dispatchEvent("header", "drop", { dataTransfer: transfer });
    await cards(page).filter({ hasText: "dropped.jpg" }).getByText("200 × 100").waitFor();
    assert.deepEqual(site.uploads.keys, ["uploads/ada/dropped.jpg"]);
    assert.equal(await page.locator("body.dropping").count(), 0);
  });

  it("says why a file is refused, and replaces an image only when told to", async () => {
    const site = new Site();
    await site.add("cat.jpg", await photos.jpeg(100, 100));
    const page = await open(site, {}, [REFUSED, CONFLICT, /status of 4(15|13)/]);
    await cards(page).filter({ hasText: "cat.jpg" }).waitFor();
    await page
      .getByLabel("Choose files")
      .setInputFiles([await jpeg("cat.jpg", 120, 80), { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("notes") }]);
    const rows = page.getByRole("list", { name: "Uploads" }).getByRole("listitem");
    await rows.filter({ hasText: "notes.txt" }).getByText("Only JPEG, PNG, WebP and GIF").waitFor();
    await rows.filter({ hasText: "notes.txt" }).getByRole("button", { name: "Dismiss" }).click();
    await rows.filter({ hasText: "cat.jpg" }).getByText("exists already").waitFor();
    assert.equal((await site.ports.records.get("uploads/cat.jpg"))?.width, 100);
    await rows.filter({ hasText: "cat.jpg" }).getByRole("button", { name: "Replace it" }).click();
    await cards(page).filter({ hasText: "cat.jpg" }).getByText("120 × 80").waitFor();
    assert.equal(await rows.count(), 0);
  });

  it("shows what is known of an image, its files, and deletes it after asking", async () => {
    const site = new Site();
    await site.add("cat.jpg", await photos.jpeg(400, 300), "ada");
    const page = await open(site, {}, [REFUSED]);
    await cards(page).getByRole("button").click();
    const dialog = page.getByRole("dialog", { name: "cat.jpg" });
    await dialog.getByText("uploads/cat.jpg").waitFor();
    await dialog.getByText("400 × 300 pixels").waitFor();
    await dialog.locator("img.there").waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), dialog.getByRole("link", { name: "Download original" }).click()]);
    assert.equal(download.suggestedFilename(), "cat.jpg");
    for (const name of ["small (100 × 100)", "large (640 × 480)"]) assert.ok(await dialog.getByRole("link", { name }).getAttribute("href"));
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    await cards(page).getByRole("button").click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await dialog.getByRole("button", { name: "Keep" }).click();
    assert.ok(await site.ports.records.get("uploads/cat.jpg"));
    await dialog.getByRole("button", { name: "Delete" }).click();
    await dialog.getByRole("button", { name: "Delete for good" }).click();
    await page.getByText("No images yet").waitFor();
    assert.deepEqual([site.uploads.keys, site.variants.keys], [[], []]);
  });

  it("searches by tag and by user, and by a tag that is clicked", async () => {
    const site = new Site();
    await site.add("wide.jpg", await photos.jpeg(400, 200), "ada");
    await site.add("tall.jpg", await photos.jpeg(200, 400), "grace");
    const page = await open(site, {}, [REFUSED]);
    await cards(page).nth(1).waitFor();
    await page.getByLabel("User", { exact: true }).fill("grace");
    await page.getByRole("button", { name: "Search" }).click();
    await cards(page).filter({ hasText: "wide.jpg" }).waitFor({ state: "detached" });
    assert.equal(await cards(page).count(), 1);
    await page.getByLabel("User", { exact: true }).fill("");
    await page.getByLabel("Tag", { exact: true }).fill("Landscape");
    await page.keyboard.press("Enter");
    await cards(page).filter({ hasText: "wide.jpg" }).waitFor();
    assert.equal(await cards(page).count(), 1);
    await page.getByLabel("Tag", { exact: true }).fill("No such tag");
    await page.keyboard.press("Enter");
    await page.getByText("No image matches").waitFor();
    await page.getByLabel("Tag", { exact: true }).fill("");
    await page.keyboard.press("Enter");
    await cards(page).filter({ hasText: "tall.jpg" }).getByRole("button").click();
    await page
      .getByRole("dialog")
      .getByRole("button", { name: /^Portrait/ })
      .click();
    await cards(page).filter({ hasText: "wide.jpg" }).waitFor({ state: "detached" });
    assert.equal(await page.getByLabel("Tag", { exact: true }).inputValue(), "Portrait");
    assert.equal(await cards(page).count(), 1);
  });

  it("says why an image failed, and processes it again", async () => {
    const site = new Site();
    await site.add("bad.jpg", (await photos.jpeg(400, 300)).subarray(0, 3_000));
    const page = await open(site, {}, [REFUSED]);
    const card = cards(page).filter({ hasText: "bad.jpg" });
    await card.getByText("Failed", { exact: true }).waitFor();
    await card.getByRole("button").click();
    await page.getByRole("dialog").getByText("TRUNCATED").waitFor();
    // What is mended in the store is processed again.
    await site.uploads.write("uploads/bad.jpg", await photos.jpeg(400, 300), { contentType: "image/jpeg", overwrite: true });
    await page.getByRole("dialog").getByRole("button", { name: "Process again" }).click();
    await card.getByText("400 × 300").waitFor();
  });

  it("shows the rest of a long list when asked to", async () => {
    const site = new Site();
    const { records } = site.ports;
    for (let index = 0; index < 60; index++) {
      const key = `uploads/${String(index).padStart(2, "0")}.jpg`;
      const run = { key, sequencer: "1", redrive: false };
      await records.begin(run, { uploadedAt: new Date(Date.UTC(2026, 0, 1, 0, index)).toISOString() });
      await records.finish(run, { failure: { code: "CORRUPT", message: "It breaks its rules." } }, new Date().toISOString());
    }
    const page = await open(site, {}, [REFUSED]);
    await cards(page).nth(47).waitFor();
    assert.equal(await cards(page).count(), 48);
    await page.getByRole("button", { name: "Show more" }).click();
    await cards(page).nth(59).waitFor();
    assert.equal(await page.getByRole("button", { name: "Show more" }).isVisible(), false);
    assert.match((await cards(page).first().textContent()) ?? "", /59\.jpg/);
    assert.match((await cards(page).last().textContent()) ?? "", /00\.jpg/);
  });

  it("never reads what others wrote as HTML", async () => {
    const site = new Site();
    await site.add("<img src=x onerror=alert(1)>.jpg", await photos.jpeg(100, 100), "<b>ada</b>");
    const page = await open(site, {}, [REFUSED]);
    const card = cards(page).filter({ hasText: "<img src=x onerror=alert(1)>.jpg" });
    await card.getByRole("button").click();
    await page.getByRole("dialog").getByText("<b>ada</b>", { exact: true }).waitFor();
  });

  it("asks for the key again when it is no longer taken", async () => {
    const page = await open(new Site(), {}, [REFUSED]);
    await page.getByText("No images yet").waitFor();
    await page.evaluate('sessionStorage.setItem("image-pipeline.key", "an-old-key")');
    await page.reload();
    await page.getByRole("alert").filter({ hasText: "not taken" }).waitFor();
  });
});
