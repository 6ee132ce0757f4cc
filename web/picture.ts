import { thumbHashToDataURL } from "thumbhash";
import type { Api, ImageRecord } from "./api.js";
import { element } from "./dom.js";

/** Pixels; a card is about this wide on a dense screen. */
const CARD_WIDTH = 400;
/** Milliseconds: links are good for fifteen minutes at most. */
const LINKS_LIVE = 8 * 60_000;

/** What shows where a picture will be: a blur of it, or its colour. */
export function placeholder(frame: HTMLElement, { thumbhash, dominantColor }: ImageRecord): void {
  if (dominantColor) frame.style.backgroundColor = dominantColor;
  if (thumbhash) frame.style.backgroundImage = `url(${thumbHashToDataURL(Uint8Array.from(atob(thumbhash), (char) => char.charCodeAt(0)))})`;
}

/** The smallest variant that is at least so wide, else the widest. */
export function variantFor({ variants = [] }: ImageRecord, width: number): NonNullable<ImageRecord["variants"]>[number] | undefined {
  const sorted = [...variants].sort((a, b) => a.width - b.width);
  return sorted.find((variant) => variant.width >= width) ?? sorted.at(-1);
}

/** Loads pictures when they come into view, a few at a time. */
export class Pictures {
  readonly #links = new Map<string, { version: string | undefined; until: number; url: string | undefined }>();
  readonly #waiting: (() => Promise<void>)[] = [];
  #loading = 0;

  readonly #observer = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        this.#observer.unobserve(target);
        this.#wanted.get(target)?.();
      }
    },
    { rootMargin: "200px" },
  );
  readonly #wanted = new WeakMap<Element, () => void>();

  constructor(private readonly api: Api) {}

  /** Fills a frame with the image's picture, once it can be seen. */
  show(frame: HTMLElement, record: ImageRecord): void {
    placeholder(frame, record);
    if (!record.variants?.length) return;
    this.#wanted.set(frame, () => {
      this.#waiting.push(() => this.#load(frame, record));
      this.#next();
    });
    this.#observer.observe(frame);
  }

  #next(): void {
    if (this.#loading >= 6) return;
    const load = this.#waiting.shift();
    if (!load) return;
    this.#loading++;
    // A picture that cannot be loaded stays the blur that it is.
    void load()
      .catch(() => {})
      .finally(() => {
        this.#loading--;
        this.#next();
      });
  }

  async #load(frame: HTMLElement, record: ImageRecord): Promise<void> {
    if (!frame.isConnected) return;
    const url = await this.#link(record);
    if (!url) return;
    const picture = element("img", { alt: "", decoding: "async" });
    picture.addEventListener("load", () => picture.classList.add("there"));
    picture.src = url;
    frame.replaceChildren(picture);
  }

  async #link(record: ImageRecord): Promise<string | undefined> {
    const known = this.#links.get(record.key);
    if (known && known.version === record.processedAt && known.until > Date.now()) return known.url;
    const image = await this.api.image(record.key);
    const variant = variantFor(image, CARD_WIDTH);
    const url = variant && image.urls.variants[variant.name];
    this.#links.set(record.key, { version: record.processedAt, until: Date.now() + LINKS_LIVE, url });
    return url;
  }
}
