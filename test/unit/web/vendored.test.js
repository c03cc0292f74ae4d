/** Vendored files are those that the list names, with the hashes that it has. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';

const root = new URL('../../../web/vendor/', import.meta.url);

test('hashes are those of the list, and no other file is there', () => {
  const list = readFileSync(new URL('README.md', root), 'utf8');
  const rows = [...list.matchAll(/^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$/gm)];
  expect(rows).toHaveLength(4);
  for (const [, file, expected] of rows) {
    const hash = createHash('sha256')
      .update(readFileSync(new URL(file, root)))
      .digest('hex');
    expect([file, hash]).toEqual([file, expected]);
  }
  const folders = new Set(rows.map(([, file]) => file.split('/')[0]));
  const listed = [
    'README.md',
    ...folders,
    ...rows.map(([, file]) => file),
    ...[...folders].map((folder) => `${folder}/LICENSE`),
  ];
  const files = readdirSync(root, { recursive: true });
  expect(files.sort()).toEqual(listed.sort());
});

test.each([
  ['marked', 'lib/marked.umd.js', 'marked/marked.umd.js'],
  ['dompurify', 'dist/purify.min.js', 'dompurify/purify.min.js'],
])('%s is the installed version, whose types the page is checked against', (name, from, file) => {
  const installed = readFileSync(new URL(`../../../node_modules/${name}/${from}`, import.meta.url));
  expect(readFileSync(new URL(file, root)).equals(installed)).toBe(true);
});
