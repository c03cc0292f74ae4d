/** Animated PNG: the chunks of the specification, and the picture of the README. */
import { readFileSync } from 'node:fs';
import { crc32, deflateSync, inflateSync } from 'node:zlib';
import { animate, chunksOf } from '../../../scripts/lib/apng.mjs';

const uint32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

function chunk(type, data) {
  const named = Buffer.concat([Buffer.from(type), data]);
  return Buffer.concat([uint32(data.length), named, uint32(crc32(named))]);
}

/** A grey picture of one pixel, its data in two chunks. */
function pixel(value, width = 1) {
  const data = deflateSync(Buffer.from([0, value]));
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', Buffer.concat([uint32(width), uint32(1), Buffer.from([8, 0, 0, 0, 0])])),
    chunk('IDAT', data.subarray(0, 3)),
    chunk('IDAT', data.subarray(3)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

test('frames follow each other under one count', () => {
  const animated = animate([
    { png: pixel(7), ms: 100 },
    { png: pixel(9), ms: 250 },
  ]);
  const chunks = chunksOf(animated);
  const types = ['IHDR', 'acTL', 'fcTL', 'IDAT', 'IDAT', 'fcTL', 'fdAT', 'fdAT', 'IEND'];
  expect(chunks.map(({ type }) => type)).toEqual(types);
  // Two frames, for ever.
  expect([...chunks[1].data]).toEqual([0, 0, 0, 2, 0, 0, 0, 0]);
  // Number, width, height, offsets, 250/1000 s, no disposal, no blending.
  expect(chunks[5].data.toString('hex')).toBe(
    '00000001' + '00000001'.repeat(2) + '00'.repeat(8) + '00fa03e8' + '0000',
  );
  expect(chunks.slice(6, 8).map(({ data }) => data.readUInt32BE(0))).toEqual([2, 3]);
  const pixels = Buffer.concat(chunks.slice(6, 8).map(({ data }) => data.subarray(4)));
  expect([...inflateSync(pixels)]).toEqual([0, 9]);
  // Each chunk ends with the CRC of its type and data.
  expect(animated.subarray(-4).toString('hex')).toBe('ae426082');
});

test('pictures of two sizes are refused, and other files', () => {
  const frames = [pixel(1), pixel(1, 2)].map((png) => ({ png, ms: 1 }));
  expect(() => animate(frames)).toThrow('pictures differ in size');
  expect(() => chunksOf(Buffer.from('GIF89a..........'))).toThrow('no PNG');
});

test('the picture of the README is animated, and under 1 MB', () => {
  const root = new URL('../../../', import.meta.url);
  const readme = readFileSync(new URL('README.md', root), 'utf8');
  const [, path] = /^!\[[^\]]+\]\(([^)]+)\)$/m.exec(readme);
  const picture = readFileSync(new URL(path, root));
  expect(picture.length).toBeLessThan(1_000_000);
  const frames = chunksOf(picture)
    .find(({ type }) => type === 'acTL')
    .data.readUInt32BE(0);
  expect(frames).toBeGreaterThan(10);
});
