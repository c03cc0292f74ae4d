/** The name of the platform that an addon is built for. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nativeTarget, usesMusl } from '../../../../lib/internal/native/target.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-target-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['/lib/ld-musl-x86_64.so.1', true],
  ['/lib/ld-musl-aarch64.so.1', true],
  ['/lib64/ld-linux-x86-64.so.2', false],
  ['/lib/ld-linux-aarch64.so.1', false],
])('a program that %s starts: musl is %s', (interpreter, expected) => {
  const program = join(folder, 'node');
  // An ELF header, the program headers, then the dynamic linker's path, as linkers lay them out.
  const head = Buffer.alloc(792);
  head.write('\x7fELF', 'latin1');
  writeFileSync(program, Buffer.concat([head, Buffer.from(`${interpreter}\0`)]));
  expect(usesMusl(program)).toBe(expected);
});

test('the running node has the name that its build reports', () => {
  const { header } = process.report.getReport();
  const musl = process.platform === 'linux' && header.glibcVersionRuntime === undefined;
  const expected = `${process.platform}-${process.arch}${musl ? '-musl' : ''}`;
  expect(nativeTarget()).toBe(expected);
});
