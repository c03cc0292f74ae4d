/** Vendored files match the list and its hashes. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';

const root = new URL('../../../web/vendor/', import.meta.url);
const nativeRoot = new URL('../../../native/vendor/', import.meta.url);

test.each([
  ['web/vendor', root, 4, ['LICENSE']],
  ['native/vendor', nativeRoot, 2, []],
])('%s: the hashes match the list, and there is no other file', (_, vendor, count, licences) => {
  const list = readFileSync(new URL('README.md', vendor), 'utf8');
  const rows = [...list.matchAll(/^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$/gm)];
  expect(rows).toHaveLength(count);
  for (const [, file, expected] of rows) {
    const hash = createHash('sha256')
      .update(readFileSync(new URL(file, vendor)))
      .digest('hex');
    expect([file, hash]).toEqual([file, expected]);
  }
  const folders = new Set(rows.map(([, file]) => file.split('/')[0]));
  const listed = [
    'README.md',
    ...folders,
    ...rows.map(([, file]) => file),
    ...[...folders].flatMap((folder) => licences.map((name) => `${folder}/${name}`)),
  ];
  const files = readdirSync(vendor, { recursive: true });
  expect(files.sort()).toEqual(listed.sort());
});

test.each([
  ['marked', 'lib/marked.umd.js', 'marked/marked.umd.js'],
  ['dompurify', 'dist/purify.min.js', 'dompurify/purify.min.js'],
])('%s is the installed version, with whose types the page is checked', (name, from, file) => {
  const installed = readFileSync(new URL(`../../../node_modules/${name}/${from}`, import.meta.url));
  expect(readFileSync(new URL(file, root)).equals(installed)).toBe(true);
});
