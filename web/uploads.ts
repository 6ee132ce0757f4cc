import { type Api, Refused, type Ticket } from "./api.js";
import { byId, element } from "./dom.js";
import { sentence } from "./words.js";

/** Files that are sent at the same time. */
const AT_ONCE = 3;

/** Sends files straight to the store, a few at a time, and shows how far each is. */
export class Uploads {
  readonly #list = byId("uploads", HTMLUListElement);
  readonly #live = byId("live", HTMLParagraphElement);
  readonly #waiting: (() => Promise<void>)[] = [];
  #sending = 0;

  constructor(
    private readonly api: Api,
    private readonly uploaded: () => void,
  ) {}

  add(files: Iterable<File>, user: string): void {
    for (const file of files) {
      const row = new Row(file);
      this.#list.append(row.item);
      this.#enqueue(() => this.#send(file, user, row, false));
    }
  }

  #enqueue(send: () => Promise<void>): void {
    this.#waiting.push(send);
    this.#next();
  }

  #next(): void {
    if (this.#sending >= AT_ONCE) return;
    const send = this.#waiting.shift();
    if (!send) return;
    this.#sending++;
    void send().finally(() => {
      this.#sending--;
      this.#next();
    });
  }

  async #send(file: File, user: string, row: Row, overwrite: boolean): Promise<void> {
    row.progress(0);
    try {
      const ticket = await this.api.ticket({
        filename: file.name,
        contentType: file.type,
        size: file.size,
        overwrite,
        ...(user && { user }),
      });
      await redeem(ticket, file, (share) => row.progress(share));
      row.item.remove();
      this.#live.textContent = `${file.name} is uploaded and being processed.`;
      this.uploaded();
    } catch (error) {
      const why = reason(error, overwrite);
      const again = error instanceof Refused && error.code === "CONFLICT" && !overwrite;
      row.failed(why, again ? ["Replace it", () => this.#enqueue(() => this.#send(file, user, row, true))] : undefined);
      this.#live.textContent = `${file.name} was not uploaded: ${why}`;
    }
  }
}

/** What the API says to programs, in words for whoever chose the file. */
function reason(error: unknown, overwrite: boolean): string {
  if (error instanceof Refused && error.code === "UNSUPPORTED_MEDIA_TYPE") return "Only JPEG, PNG, WebP and GIF images are taken.";
  if (error instanceof Refused && error.code === "CONFLICT" && !overwrite) return "An image of this name exists already.";
  return sentence(error);
}

/** One file on its way. */
class Row {
  readonly #bar = element("progress", { max: 1, value: 0 });
  readonly #note = element("span", { class: "note" });
  readonly #actions = element("span", { class: "actions" });
  readonly item: HTMLLIElement;

  constructor(private readonly file: File) {
    this.#bar.setAttribute("aria-label", `Upload of ${file.name}`);
    this.item = element("li", {}, element("span", { class: "name" }, file.name), this.#bar, this.#note, this.#actions);
    this.#note.textContent = "Waiting";
  }

  progress(share: number): void {
    this.item.className = "";
    this.#bar.hidden = false;
    this.#bar.value = share;
    this.#note.textContent = share < 1 ? `${Math.round(share * 100)} %` : "Storing";
    this.#actions.replaceChildren();
  }

  failed(why: string, action?: [name: string, act: () => void]): void {
    this.item.className = "failed";
    this.#bar.hidden = true;
    this.#note.textContent = why;
    const dismiss = element(
      "button",
      { type: "button", class: "quiet", "aria-label": `Dismiss ${this.file.name}`, click: () => this.item.remove() },
      "Dismiss",
    );
    const actions = action ? [element("button", { type: "button", click: action[1] }, action[0])] : [];
    this.#actions.replaceChildren(...actions, dismiss);
  }
}

/** Sends the file as the ticket says. Not by fetch, which cannot tell how far it is. */
function redeem({ method, url, headers = {}, fields }: Ticket, file: File, progress: (share: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ lengthComputable, loaded, total }) => lengthComputable && progress(loaded / total));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve();
      else reject(new Error(`The store refused the file (${request.status} ${/<Code>(\w+)</.exec(request.responseText)?.[1] ?? ""}).`));
    });
    request.addEventListener("error", () => reject(new Error("The store cannot be reached.")));
    request.send(fields ? form(fields, file) : file);
  });
}

/** The store reads the fields before the file. */
function form(fields: Record<string, string>, file: File): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  data.append("file", file);
  return data;
}
