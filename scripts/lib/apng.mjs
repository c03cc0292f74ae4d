/**
 * Animated PNG (https://www.w3.org/TR/png-3/#apng-frame-based-animation) from single pictures. Pure.
 *
 * A PNG is a signature and chunks: length, type, data, CRC-32. The first picture keeps its IDAT chunks; for each
 * further one they become fdAT chunks, which begin with a sequence number that they share with the fcTL
 * chunks before each frame.
 */
import { crc32 } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** @typedef {{type: string, data: Buffer}} Chunk */

/** @param {number} value */
function uint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** @param {Chunk} chunk */
function bytesOf({ type, data }) {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  return Buffer.concat([uint32(data.length), named, uint32(crc32(named))]);
}

/**
 * @param {Buffer} png
 * @returns {Chunk[]}
 */
export function chunksOf(png) {
  if (!png.subarray(0, 8).equals(SIGNATURE)) throw new Error('a picture is no PNG');
  /** @type {Chunk[]} */
  const chunks = [];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    const type = png.toString('latin1', at + 4, at + 8);
    chunks.push({ type, data: png.subarray(at + 8, at + 8 + length) });
    at += length + 12;
  }
  return chunks;
}

/**
 * @param {{png: Buffer, ms: number}[]} frames pictures of one size and format, and their display times
 * @returns {Buffer} endless
 */
export function animate(frames) {
  const pictures = frames.map(({ png }) => chunksOf(png));
  const [head] = pictures[0];
  let sequence = 0;
  const next = () => uint32(sequence++);
  const chunks = [head, { type: 'acTL', data: Buffer.concat([uint32(frames.length), uint32(0)]) }];
  pictures.forEach((picture, i) => {
    if (!picture[0].data.equals(head.data)) throw new Error('pictures differ in size or format');
    const control = Buffer.alloc(22);
    head.data.copy(control, 0, 0, 8); // width and height; the offsets are 0
    control.writeUInt16BE(frames[i].ms, 16);
    control.writeUInt16BE(1000, 18);
    chunks.push({ type: 'fcTL', data: Buffer.concat([next(), control]) });
    for (const { type, data } of picture) {
      if (type !== 'IDAT') continue;
      if (i === 0) chunks.push({ type, data });
      else chunks.push({ type: 'fdAT', data: Buffer.concat([next(), data]) });
    }
  });
  chunks.push({ type: 'IEND', data: Buffer.alloc(0) });
  return Buffer.concat([SIGNATURE, ...chunks.map(bytesOf)]);
}
