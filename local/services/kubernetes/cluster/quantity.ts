const SUFFIXES: Readonly<Record<string, number>> = {
  ...{ m: 1e-3, "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 },
};

/** The number that a quantity such as `"512Mi"` or `"250m"` stands for; `undefined` for what is none. */
export function quantity(text: unknown): number | undefined {
  const [, number, suffix] = /^(\d+(?:\.\d+)?(?:e\d+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/.exec(String(text)) ?? [];
  return number === undefined ? undefined : Number(number) * (SUFFIXES[suffix ?? ""] as number);
}

/** `"25%"` of a total, or a number as it is. */
export function portion(value: string | number, total: number, round: (number: number) => number): number {
  const [, percent] = /^(\d+)%$/.exec(String(value)) ?? [];
  return percent === undefined ? Number(value) : round((Number(percent) / 100) * total);
}
