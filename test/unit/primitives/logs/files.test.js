/** Reading and following files: pieces, gzip, and where a tail begins. */
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  fileChunks,
  CHUNK_BYTES,
  plainChunks,
} from '../../../../lib/primitives/logs/decompress.js';
import { followFile } from '../../../../lib/primitives/logs/tail.js';

let folder;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-files-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function textOf(chunks) {
  const pieces = [];
  // A piece is valid until the next read.
  for await (const chunk of chunks) pieces.push(Buffer.from(chunk));
  return Buffer.concat(pieces).toString();
}

async function* piecesOf(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('a file of several pieces is read unchanged', async () => {
  const text = Array.from({ length: 400_000 }, (_, i) => `line ${i}`).join('\n');
  expect(text.length).toBeGreaterThan(3 * CHUNK_BYTES);
  for (const content of [text, gzipSync(text)]) {
    const path = join(folder, 'big');
    await writeFile(path, content);
    const handle = await open(path);
    // Not toBe: a difference of megabytes is not to be printed.
    expect((await textOf(plainChunks(fileChunks(handle)))) === text).toBe(true);
    await handle.close();
  }
});

test('leaving the iteration early closes the file', async () => {
  for (const content of [Buffer.alloc(4e6, 'a\n'), gzipSync(Buffer.alloc(4e6, 'a\n'))]) {
    const path = join(folder, 'left');
    await writeFile(path, content);
    const handle = await open(path);
    for await (const chunk of plainChunks(fileChunks(handle))) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await handle.close();
  }
});

test('gzip is recognized by its first two bytes, also in separate pieces', async () => {
  const text = 'hello\n'.repeat(100);
  for (const size of [1, 2, 3, 1000]) {
    expect(await textOf(plainChunks(piecesOf(gzipSync(text), size)))).toBe(text);
    expect(await textOf(plainChunks(piecesOf(Buffer.from(text), size)))).toBe(text);
  }
  for (const text1 of ['', 'a', '\x1f']) {
    expect(await textOf(plainChunks(piecesOf(Buffer.from(text1, 'latin1'), 1)))).toBe(text1);
  }
  const cut = piecesOf(gzipSync(text).subarray(0, 20), 7);
  await expect(textOf(plainChunks(cut))).rejects.toMatchObject({ code: 'Z_BUF_ERROR' });
});

/** The pieces of the end of a file by followFile, until it has read all. */
async function tailOf(content, tailBytes) {
  const path = join(folder, 'tail');
  await writeFile(path, content);
  const controller = new AbortController();
  const chunks = [];
  await followFile(path, {
    signal: controller.signal,
    tailBytes,
    pollMs: 1,
    onChunk: (chunk) => chunks.push(Buffer.from(chunk)),
    onIdle: () => controller.abort(),
  });
  return Buffer.concat(chunks);
}

test.each([
  [100, 'one\ntwo\nthree\n'],
  [10, 'two\nthree\n'], // begins with a line
  [9, 'three\n'], // in the midst of one
  [3, ''],
])('of a tail of %d bytes only whole lines are returned', async (tailBytes, expected) => {
  const tail = await tailOf('one\ntwo\nthree\n', tailBytes);
  expect(tail.toString()).toBe(expected);
});

test.each([
  [100, '\uFEFFone\nt\u0A0Ao\nthree\n'],
  [20, '\uFEFFt\u0A0Ao\nthree\n'], // begins with a line
  [19, '\uFEFFthree\n'],
  [18, '\uFEFFthree\n'],
  [3, '\uFEFF'],
])('of a UTF-16 tail of %d bytes, too, with the byte order mark', async (tailBytes, expected) => {
  const content = Buffer.from('\uFEFFone\nt\u0A0Ao\nthree\n', 'utf16le');
  expect((await tailOf(content, tailBytes)).toString('utf16le')).toBe(expected);
  const tail = await tailOf(Buffer.from(content).swap16(), tailBytes);
  expect(tail.swap16().toString('utf16le')).toBe(expected);
});

test('an unreadable file is an error, a missing one is not', async () => {
  const { signal } = new AbortController();
  await expect(followFile(folder, { signal, onChunk() {} })).rejects.toMatchObject({
    code: 'EISDIR',
  });
  const controller = new AbortController();
  await followFile(join(folder, 'none'), {
    signal: controller.signal,
    pollMs: 1,
    onChunk() {},
    onIdle: () => controller.abort(),
  });
});
