import sharp, { type Sharp } from "sharp";

/**
 * sharp, set up for pictures from strangers: only the loaders of accepted formats (it would read SVG, PDF, TIFF and more), and no cache, since
 * no picture comes twice.
 */
sharp.block({ operation: ["VipsForeignLoad"] });
sharp.unblock({
  operation: ["VipsForeignLoadJpegBuffer", "VipsForeignLoadPngBuffer", "VipsForeignLoadWebpBuffer", "VipsForeignLoadNsgifBuffer"],
});
sharp.cache(false);

export type { Sharp };
export { sharp };

/** A decoded picture: 8 bits per channel, sRGB, rows without padding. */
export interface Pixels {
  data: Buffer;
  width: number;
  height: number;
  /** 4 with alpha (not premultiplied). */
  channels: 3 | 4;
}

/** A pipeline that starts from decoded pixels. */
export function fromPixels({ data, width, height, channels }: Pixels): Sharp {
  return sharp(data, { raw: { width, height, channels } });
}
