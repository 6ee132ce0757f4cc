import type { Tagger } from "../ports.js";

/** Says nothing. */
export const none: Tagger = () => [];
