/**
 * Checks that a Linux binary loads on the oldest supported systems: a binary refers to each symbol
 * of libc and libstdc++ together with the version that introduced it, and a system whose libraries
 * are older than one of these refuses the binary.
 */
import { spawnSync } from 'node:child_process';

/**
 * The newest versions that a binary may need, by architecture: those of Ubuntu 22.04, RHEL 9 and
 * later (glibc 2.34 and the libraries of GCC 11).
 * @type {Record<string, Record<string, string>>}
 */
export const SYMBOL_VERSIONS_MAX = {
  x64: { GLIBC: '2.34', GLIBCXX: '3.4.29', CXXABI: '1.3.13', GCC: '11.0' },
  arm64: { GLIBC: '2.34', GLIBCXX: '3.4.29', CXXABI: '1.3.13', GCC: '11.0' },
};

/** The architectures by the name that readelf prints. @type {Record<string, string>} */
const ARCHITECTURES = { 'Advanced Micro Devices X86-64': 'x64', AArch64: 'arm64' };

/** @typedef {{symbol: string, family: string, version: string}} VersionedSymbol */

/**
 * @param {string} text what `readelf --wide --file-header --dyn-syms` prints of a binary
 * @returns {{arch: string, symbols: VersionedSymbol[]}} the symbols that it takes from elsewhere;
 *   `arch` as in `process.arch`
 * @throws {Error} for an architecture without limits
 */
export function parseReadelf(text) {
  const machine = /^ *Machine: +(.*?) *$/m.exec(text)?.[1] ?? 'unknown';
  const arch = ARCHITECTURES[machine];
  if (arch === undefined) throw new Error(`there are no symbol version limits for ${machine}`);
  const lines = text.matchAll(/ UND +(\S+?)@+([A-Z]+)_(\S+)/g);
  const symbols = [...lines].map(([, symbol, family, version]) => ({ symbol, family, version }));
  return { arch, symbols };
}

/**
 * @param {VersionedSymbol[]} symbols
 * @param {Record<string, string>} versionsMax by family; a family without one is not allowed at all
 * @returns {string[]} a line for each symbol that is too new, empty when there is none
 */
export function tooNewSymbols(symbols, versionsMax) {
  return symbols.flatMap(({ symbol, family, version }) => {
    const max = versionsMax[family];
    if (max !== undefined && compareVersions(version, max) <= 0) return [];
    const limit = max === undefined ? `no ${family} version is allowed` : `the limit is ${max}`;
    return [`${symbol} needs ${family}_${version}; ${limit}`];
  });
}

/**
 * @param {string} left dotted numbers; anything else is newer than every number
 * @param {string} right
 * @returns {number} negative, 0 or positive as left is older than, as old as or newer than right
 */
function compareVersions(left, right) {
  const [a, b] = [left, right].map((version) => version.split('.').map(Number));
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return Number.isNaN(difference) ? 1 : difference;
  }
  return 0;
}

/**
 * @param {string} path a binary of any Linux architecture in `SYMBOL_VERSIONS_MAX`
 * @throws {Error} naming each symbol that is too new, or what kept the check from running
 */
export function checkSymbolVersions(path) {
  const args = ['--wide', '--file-header', '--dyn-syms', path];
  const options = { encoding: /** @type {const} */ ('utf8'), env: { ...process.env, LC_ALL: 'C' } };
  const { status, stdout, stderr, error } = spawnSync('readelf', args, options);
  if (error) throw new Error('readelf is missing; Debian has it in binutils', { cause: error });
  if (status !== 0) throw new Error(`readelf cannot read ${path}: ${stderr.trim()}`);
  const { arch, symbols } = parseReadelf(stdout);
  const problems = tooNewSymbols(symbols, SYMBOL_VERSIONS_MAX[arch]);
  if (problems.length === 0) return;
  throw new Error(`${path} does not load on every supported system:\n  ${problems.join('\n  ')}`);
}
