import { MemoryDeadLetters, MemoryObjectStore, MemoryRecordStore, MemoryTagIndex } from "../core/memory-ports.js";
import { deadLettersContract } from "./dead-letters.js";
import { objectStoreContract } from "./object-store.js";
import { recordStoreContract } from "./record-store.js";
import { tagIndexContract } from "./tag-index.js";

describe("The ports in memory, which stand for the clouds' in other tests", () => {
  let store: MemoryObjectStore;
  let index: MemoryTagIndex;
  let letters: MemoryDeadLetters;
  beforeEach(() => {
    [store, index, letters] = [new MemoryObjectStore(), new MemoryTagIndex(), new MemoryDeadLetters()];
  });

  describe("as an object store", () => objectStoreContract(() => store));
  describe("as a store of records", () =>
    recordStoreContract(async (clock) => {
      const records = new MemoryRecordStore(clock);
      return { store: records, has: async (key) => records.entries.has(key) };
    }));
  describe("as an index of tags", () => tagIndexContract(() => index));
  describe("as dead letters", () => deadLettersContract(() => letters));
});
