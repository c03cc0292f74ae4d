/** Vendored files are those that the list names, with the hashes that it has. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';

const root = new URL('../../../web/vendor/', import.meta.url);

test('hashes are those of the list, and no other file is there', () => {
  const list = readFileSync(new URL('README.md', root), 'utf8');
  const rows = [...list.matchAll(/^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$/gm)];
  expect(rows).toHaveLength(2);
  for (const [, file, expected] of rows) {
    const hash = createHash('sha256')
      .update(readFileSync(new URL(file, root)))
      .digest('hex');
    expect([file, hash]).toEqual([file, expected]);
  }
  const files = readdirSync(new URL('uplot', root)).sort();
  expect(files).toEqual(['LICENSE', ...rows.map(([, file]) => file.split('/')[1])].sort());
});
