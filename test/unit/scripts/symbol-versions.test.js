/** The check that keeps a Linux binary loadable on the oldest supported systems. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  SYMBOL_VERSIONS_MAX,
  checkSymbolVersions,
  parseReadelf,
  tooNewSymbols,
} from '../../../scripts/lib/symbol-versions.mjs';

const addon = fileURLToPath(new URL('../../../build/Release/sluice.node', import.meta.url));
const onLinux = process.platform === 'linux' ? test : test.skip;

const x64 = `
  Machine:                           Advanced Micro Devices X86-64
     1: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND pthread_cond_clockwait@GLIBC_2.34 (2)
     2: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND _ZNSt18condition_variable4waitE@GLIBCXX_3.4.30 (7)
     3: 0000000000000000     0 NOTYPE  WEAK   DEFAULT  UND __gmon_start__
     4: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND napi_create_array
     5: 00000000000a1230    88 FUNC    GLOBAL DEFAULT   12 napi_register_module_v1
`;

test('the undefined symbols of a binary are read with their versions', () => {
  expect(parseReadelf(x64)).toEqual({
    arch: 'x64',
    symbols: [
      { symbol: 'pthread_cond_clockwait', family: 'GLIBC', version: '2.34' },
      { symbol: '_ZNSt18condition_variable4waitE', family: 'GLIBCXX', version: '3.4.30' },
    ],
  });
  expect(parseReadelf(x64.replace('Advanced Micro Devices X86-64', 'AArch64')).arch).toBe('arm64');
  expect(() => parseReadelf(x64.replace('Advanced Micro Devices X86-64', 'RISC-V'))).toThrow(
    'there are no symbol version limits for RISC-V',
  );
});

test.each(['x64', 'arm64'])('too new a symbol is named on %s', (arch) => {
  const { symbols } = parseReadelf(x64);
  expect(tooNewSymbols(symbols, SYMBOL_VERSIONS_MAX[arch])).toEqual([
    '_ZNSt18condition_variable4waitE needs GLIBCXX_3.4.30; the limit is 3.4.29',
  ]);
});

test.each([
  ['GLIBC', '2.34', true],
  ['GLIBC', '2.2.5', true],
  ['GLIBC', '2.35', false],
  ['GLIBC', '3.0', false],
  ['GLIBC', '2.34.1', false],
  ['GLIBC', 'PRIVATE', false],
  ['GLIBCXX', '3.4', true],
  ['GLIBCXX', '3.4.9', true],
  ['GLIBCXX', '3.4.29', true],
  ['GLIBCXX', '3.4.30', false],
  ['CXXABI', '1.3.13', true],
  ['CXXABI', '1.3.14', false],
  ['CXXABI', 'TM_1', false],
  ['GCC', '3.0', true],
  ['GCC', '12.0.0', false],
  ['OPENSSL', '3.0.0', false],
])('%s_%s: allowed is %s', (family, version, allowed) => {
  const problems = tooNewSymbols([{ symbol: 's', family, version }], SYMBOL_VERSIONS_MAX.x64);
  expect(problems).toHaveLength(allowed ? 0 : 1);
});

onLinux('the addon built here is within the limits', () => {
  checkSymbolVersions(addon);
  // objdump is another reader of the same tables.
  const listed = execFileSync('objdump', ['-T', addon], { encoding: 'utf8' });
  const versions = [...listed.matchAll(/\*UND\*.*?\(?(GLIBC|GLIBCXX)_([\d.]+)\)?/g)];
  expect(versions.length).toBeGreaterThan(50);
  for (const [, family, version] of versions) {
    const minor = Number(version.split('.')[family === 'GLIBC' ? 1 : 2] ?? 0);
    expect(minor).toBeLessThanOrEqual(family === 'GLIBC' ? 34 : 29);
  }
});

onLinux('a binary of another architecture is read, and a file that is none is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-elf-'));
  try {
    const foreign = join(folder, 'arm64.node');
    const bytes = readFileSync(addon);
    // e_machine, the byte at offset 18: 183 is AArch64, 243 RISC-V.
    writeFileSync(foreign, bytes.fill(183, 18, 19));
    checkSymbolVersions(foreign);
    writeFileSync(foreign, bytes.fill(243, 18, 19));
    expect(() => checkSymbolVersions(foreign)).toThrow('RISC-V');
    const text = fileURLToPath(import.meta.url);
    expect(() => checkSymbolVersions(text)).toThrow(`readelf cannot read ${text}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
