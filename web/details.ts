import type { Api, ImageDetails, ImageRecord } from "./api.js";
import { byId, element, tell } from "./dom.js";
import { placeholder, variantFor } from "./picture.js";
import { bytes, nameOf, sentence, time } from "./words.js";

/** Everything about one image, and what can be done with it. */
export class Details {
  readonly #dialog = byId("details", HTMLDialogElement);

  constructor(
    private readonly api: Api,
    private readonly on: { changed: () => void; tag: (name: string) => void },
  ) {
    // A click on the backdrop is a click on the dialog itself.
    this.#dialog.addEventListener("click", ({ target }) => target === this.#dialog && this.#dialog.close());
  }

  open(record: ImageRecord): void {
    this.#draw(record);
    this.#dialog.showModal();
    this.#fetch(record.key);
  }

  close(): void {
    this.#dialog.close();
  }

  #fetch(key: string): void {
    this.api.image(key).then(
      (image) => this.#dialog.open && this.#dialog.dataset.key === key && this.#draw(image, image.urls),
      (error: unknown) => this.#problem(sentence(error)),
    );
  }

  #draw(record: ImageRecord, urls?: ImageDetails["urls"]): void {
    this.#dialog.dataset.key = record.key;
    const frame = element("div", { class: "frame" });
    placeholder(frame, record);
    const shown = variantFor(record, 1200);
    if (shown) frame.style.aspectRatio = `${shown.width} / ${shown.height}`;
    const source = shown && urls?.variants[shown.name];
    if (source) {
      const picture = element("img", { alt: nameOf(record), load: () => picture.classList.add("there") });
      picture.src = source;
      frame.append(picture);
    }
    this.#dialog.replaceChildren(
      element(
        "header",
        {},
        element("h2", { id: "details-title" }, nameOf(record)),
        element("button", { type: "button", class: "quiet", "aria-label": "Close", click: () => this.close() }, "✕"),
      ),
      ...(shown ? [frame] : []),
      element("p", { class: "problem", role: "alert", hidden: true }),
      ...(record.failure
        ? [element("p", { class: "failure" }, element("strong", {}, record.failure.code), ` ${record.failure.message}`)]
        : []),
      this.#tags(record),
      facts(record),
      ...(urls ? [links(record, urls)] : []),
      this.#actions(record),
    );
  }

  #tags({ tags = [] }: ImageRecord): HTMLElement {
    const chips = tags.map(({ name, confidence }) =>
      element(
        "li",
        {},
        element(
          "button",
          { type: "button", class: "chip", title: `Images tagged ${name}`, click: () => this.#search(name) },
          name,
          element("span", {}, ` ${Math.round(confidence)} %`),
        ),
      ),
    );
    return element("ul", { class: "chips", "aria-label": "Tags", hidden: chips.length === 0 }, ...chips);
  }

  #search(tag: string): void {
    this.close();
    this.on.tag(tag);
  }

  #actions(record: ImageRecord): HTMLElement {
    const actions = element("footer");
    const remove = element("button", { type: "button", class: "danger", click: () => actions.replaceChildren(...sure) }, "Delete");
    const again = element("button", { type: "button", click: () => this.#do(() => this.api.redrive(record.key)) }, "Process again");
    const sure = [
      element("span", {}, "Delete the image, its renditions and its record?"),
      element("button", { type: "button", click: () => actions.replaceChildren(...usual) }, "Keep"),
      element("button", { type: "button", class: "danger", click: () => this.#do(() => this.api.delete(record.key)) }, "Delete for good"),
    ];
    const usual = [...(record.status === "failed" ? [again] : []), remove];
    actions.append(...usual);
    return actions;
  }

  async #do(act: () => Promise<void>): Promise<void> {
    try {
      await act();
      this.close();
      this.on.changed();
    } catch (error) {
      this.#problem(sentence(error));
    }
  }

  #problem(what: string): void {
    const place = this.#dialog.querySelector<HTMLElement>(".problem");
    if (place) tell(place, what);
  }
}

/** The record, in words. */
function facts(record: ImageRecord): HTMLElement {
  const { width, height, format, size, colorSpace, hasAlpha, frames, exif = {}, sha256, dominantColor } = record;
  const rows: [string, string | undefined][] = [
    ["Key", record.key],
    ["User", record.user],
    ["Status", record.status],
    ["Size", width && height ? `${width} × ${height} pixels` : undefined],
    ["File", [format?.toUpperCase(), size === undefined ? "" : bytes(size)].filter(Boolean).join(", ") || undefined],
    ["Colours", [colorSpace, dominantColor, hasAlpha && "with transparency"].filter(Boolean).join(", ") || undefined],
    ["Frames", frames && frames > 1 ? String(frames) : undefined],
    ["Uploaded", time(record.uploadedAt)],
    ["Processed", record.processedAt && time(record.processedAt)],
    ...Object.entries(exif).map(([name, value]): [string, string] => [name, String(value)]),
    ["SHA-256", sha256],
  ];
  return element("dl", {}, ...rows.flatMap(([name, value]) => (value ? [element("dt", {}, name), element("dd", {}, value)] : [])));
}

function links({ variants = [] }: ImageRecord, urls: ImageDetails["urls"]): HTMLElement {
  const open = variants.flatMap(({ name, width, height }) => {
    const href = urls.variants[name];
    return href ? [element("a", { href, target: "_blank", rel: "noopener" }, `${name} (${width} × ${height})`)] : [];
  });
  return element(
    "nav",
    { "aria-label": "Files" },
    element("a", { href: urls.original, class: "button main" }, "Download original"),
    ...open,
  );
}
