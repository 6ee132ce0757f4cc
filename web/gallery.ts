import type { Api, Filters, ImageRecord } from "./api.js";
import { byId, element, tell } from "./dom.js";
import type { Pictures } from "./picture.js";
import { nameOf, sentence, summary } from "./words.js";

const PAGE = 48;
/** The most that the API lists at once. */
const MOST = 100;
/** Milliseconds between two looks at what is being processed: the first, and the longest. */
const SOON = 700;
const LATE = 20_000;

/** The images, newest first; looks again while some are being processed. */
export class Gallery {
  readonly #list = byId("images", HTMLUListElement);
  readonly #more = byId("more", HTMLButtonElement);
  readonly #nothing = byId("nothing", HTMLParagraphElement);
  readonly #problem = byId("problem", HTMLParagraphElement);
  readonly #cards = new Map<string, { item: HTMLLIElement; shown: string }>();
  #records: ImageRecord[] = [];
  #filters: Filters = {};
  #cursor: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wait = SOON;
  /** Answers that come after a newer question are dropped. */
  #question = 0;

  constructor(
    private readonly api: Api,
    private readonly pictures: Pictures,
    private readonly open: (record: ImageRecord) => void,
  ) {
    this.#more.addEventListener("click", () => void this.#showMore());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#lookAgain();
    });
  }

  /** Shows what matches, from the start. */
  async search(filters: Filters): Promise<void> {
    this.#filters = filters;
    this.#records = [];
    this.#cards.clear();
    this.#list.replaceChildren();
    await this.refresh();
  }

  /** Asks anew for what is shown, and keeps asking for a while. */
  async refresh(): Promise<void> {
    this.#wait = SOON;
    await this.#ask();
  }

  stop(): void {
    this.#question++;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    const question = ++this.#question;
    clearTimeout(this.#timer);
    try {
      const { items, cursor } = await this.api.list(this.#filters, Math.min(Math.max(this.#records.length, PAGE), MOST));
      if (question !== this.#question) return;
      const last = items.at(-1);
      // Beyond the first hundred, what was shown before stays.
      const rest =
        cursor && last ? this.#records.slice(this.#records.findIndex(({ key }) => key === last.key) + 1 || this.#records.length) : [];
      this.#records = [...items, ...rest];
      if (rest.length === 0) this.#cursor = cursor;
      this.#draw();
      tell(this.#problem, "");
    } catch (error) {
      if (question !== this.#question) return;
      tell(this.#problem, sentence(error));
    }
    this.#lookAgain();
  }

  #lookAgain(): void {
    clearTimeout(this.#timer);
    if (document.hidden || !this.#records.some(({ status }) => status === "processing")) return;
    this.#timer = setTimeout(() => void this.#ask(), this.#wait);
    this.#wait = Math.min(this.#wait * 1.4, LATE);
  }

  async #showMore(): Promise<void> {
    this.#more.disabled = true;
    const question = ++this.#question;
    try {
      const { items, cursor } = await this.api.list(this.#filters, PAGE, this.#cursor);
      if (question !== this.#question) return;
      this.#records.push(...items);
      this.#cursor = cursor;
      this.#draw();
    } catch (error) {
      tell(this.#problem, sentence(error));
    } finally {
      this.#more.disabled = false;
      this.#lookAgain();
    }
  }

  #draw(): void {
    const gone = new Set(this.#cards.keys());
    this.#records.forEach((record, index) => {
      gone.delete(record.key);
      const item = this.#card(record);
      if (this.#list.children[index] !== item) this.#list.insertBefore(item, this.#list.children[index] ?? null);
    });
    for (const key of gone) {
      this.#cards.get(key)?.item.remove();
      this.#cards.delete(key);
    }
    this.#more.hidden = !this.#cursor;
    const searched = Object.keys(this.#filters).length > 0;
    tell(
      this.#nothing,
      this.#records.length > 0
        ? ""
        : searched
          ? "No image matches this search."
          : "No images yet. The first one you drop above appears here.",
    );
  }

  /** The card that is there, drawn anew only when its record is another: focus and pictures stay. */
  #card(record: ImageRecord): HTMLLIElement {
    const shown = JSON.stringify(record);
    const known = this.#cards.get(record.key);
    if (known?.shown === shown) return known.item;
    const frame = element("span", { class: "frame" });
    const button = element(
      "button",
      { type: "button", class: `card ${record.status}`, click: () => this.open(record) },
      frame,
      element("span", { class: "name" }, nameOf(record)),
      element(
        "span",
        { class: "note" },
        record.status === "completed"
          ? summary(record)
          : record.status === "failed"
            ? (record.failure?.message ?? "Failed")
            : "Being processed …",
      ),
    );
    if (record.status !== "completed")
      frame.append(element("span", { class: "badge" }, record.status === "failed" ? "Failed" : "Processing"));
    this.pictures.show(frame, record);
    const item = known?.item ?? element("li");
    const focused = item.contains(document.activeElement);
    item.replaceChildren(button);
    if (focused) button.focus();
    this.#cards.set(record.key, { item, shown });
    return item;
  }
}
