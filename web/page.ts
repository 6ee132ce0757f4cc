import { Api, type Filters, Refused } from "./api.js";
import { Details } from "./details.js";
import { byId, tell } from "./dom.js";
import { Gallery } from "./gallery.js";
import { Pictures } from "./picture.js";
import { Uploads } from "./uploads.js";
import { sentence } from "./words.js";

const album = byId("album", HTMLDivElement);
const signIn = byId("sign-in", HTMLFormElement);
const signOut = byId("sign-out", HTMLButtonElement);
const search = byId("search", HTMLFormElement);

const api = new Api();
const details = new Details(api, { changed: () => void gallery.refresh(), tag: searchTag });
const gallery = new Gallery(api, new Pictures(api), (record) => details.open(record));
const uploads = new Uploads(api, () => void gallery.refresh());

void start();

/** Opens the album, if the API lets us in with the key that is kept, or with none. */
async function start(): Promise<void> {
  api.onUnauthorized = () => showSignIn(api.key === null ? "" : "This key is not taken, or no longer.");
  try {
    await api.list({}, 1);
    showAlbum();
  } catch (error) {
    if (!(error instanceof Refused && error.status === 401)) showSignIn(sentence(error));
  }
}

function showAlbum(): void {
  signIn.hidden = true;
  album.hidden = search.hidden = false;
  signOut.hidden = api.key === null;
  void gallery.search(filters());
}

function showSignIn(problem: string): void {
  gallery.stop();
  details.close();
  album.hidden = search.hidden = signOut.hidden = true;
  signIn.hidden = false;
  tell(signIn.querySelector(".problem") as HTMLElement, problem);
  signIn.querySelector("input")?.focus();
}

signIn.addEventListener("submit", (event) => {
  event.preventDefault();
  api.key = String(new FormData(signIn).get("key")).trim();
  signIn.reset();
  void start();
});

signOut.addEventListener("click", () => {
  api.key = null;
  showSignIn("");
});

search.addEventListener("submit", (event) => {
  event.preventDefault();
  void gallery.search(filters());
});
// Choosing a status, or clearing a field by its cross, is a search, too.
search.addEventListener("change", () => void gallery.search(filters()));

function filters(): Filters {
  return Object.fromEntries([...new FormData(search)].map(([name, value]) => [name, String(value).trim()]).filter(([, value]) => value));
}

function searchTag(name: string): void {
  search.reset();
  (search.elements.namedItem("tag") as HTMLInputElement).value = name;
  void gallery.search(filters());
}

const picker = byId("files", HTMLInputElement);
picker.addEventListener("change", () => {
  upload(picker.files ?? []);
  picker.value = "";
});

function upload(files: Iterable<File>): void {
  uploads.add(files, byId("uploader", HTMLInputElement).value.trim());
}

// Files may be dropped anywhere: a near miss must not make the browser leave the page.
for (const type of ["dragenter", "dragover", "dragleave", "drop"] as const) {
  document.addEventListener(type, (event) => {
    if (album.hidden || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    const inside = type === "dragenter" || type === "dragover" || (type === "dragleave" && event.relatedTarget !== null);
    document.body.classList.toggle("dropping", inside);
    if (type === "drop") upload(event.dataTransfer.files);
  });
}
