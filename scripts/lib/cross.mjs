/**
 * The cross build for linux-arm64 on a Debian of another architecture. Its headers, which are the same on
 * every architecture, are those of this machine; the one static library comes from Debian's package for
 * arm64. Both lie in a folder of the build tree, so that nothing of the system is changed.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildTree } from '../build.mjs';
import { findHeader, nodeInclude } from './needs.mjs';
import { root, run, which } from './run.mjs';

/** @typedef {import('./needs.mjs').Need} Need */

export const CROSS_TARGET = 'linux-arm64';

const FOLDER = `build-${CROSS_TARGET}`;
const SYSROOT = join(root, FOLDER, 'sysroot');
const SQLITE_PACKAGE = 'libsqlite3-dev';

/** What the cross build needs beyond the build for this machine. @type {Need[]} */
export const crossNeeds = [
  {
    what: 'a C++ compiler for arm64',
    package: 'g++-aarch64-linux-gnu',
    found: () => Boolean(which('aarch64-linux-gnu-g++')),
  },
  { what: 'apt-get', package: 'apt', found: () => Boolean(which('apt-get')) },
  { what: 'dpkg-deb', package: 'dpkg', found: () => Boolean(which('dpkg-deb')) },
];

/** What runs a binary for arm64 here. @type {Need[]} */
export const emulatorNeeds = [
  {
    what: 'an emulator for arm64 programs',
    package: 'qemu-user',
    found: () => Boolean(which('qemu-aarch64')),
  },
];

/** The emulator with the libraries of the cross compiler: a command and its first arguments. */
export const emulator = () => [
  which('qemu-aarch64') ?? 'qemu-aarch64',
  '-L',
  '/usr/aarch64-linux-gnu',
];

/**
 * Copies the headers of libraries, which the compiler must not look for in /usr/include: those of the C
 * library there are for another architecture.
 */
function copyHeaders() {
  const include = join(SYSROOT, 'include');
  mkdirSync(include, { recursive: true });
  for (const name of ['uv.h', 'uv', 'curl', 'rapidjson', 'sqlite3.h']) {
    const from = findHeader(name, [nodeInclude]);
    // With their times, or every build would compile everything.
    if (from !== undefined) {
      cpSync(from, join(include, name), { recursive: true, preserveTimestamps: true });
    }
  }
  return include;
}

/**
 * Downloads Debian's package of SQLite for arm64 with lists of its own: the system's apt keeps its
 * architectures.
 * @returns {Promise<string | undefined>} the path of the static library
 */
async function fetchSqlite() {
  const library = join(SYSROOT, 'libsqlite3.a');
  if (existsSync(library)) return library;
  const apt = join(SYSROOT, 'apt');
  for (const folder of ['lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(apt, folder), { recursive: true });
  }
  const options = [
    ...['-qq', '-o', 'APT::Architecture=arm64', '-o', 'APT::Architectures::=arm64'],
    ...['-o', `Dir::State::Lists=${join(apt, 'lists')}`, '-o', `Dir::Cache=${join(apt, 'cache')}`],
    ...['-o', 'Dir::State::status=/dev/null', '-o', 'APT::Sandbox::User=root'],
  ];
  for (const args of [['update'], ['download', `${SQLITE_PACKAGE}:arm64`]]) {
    const { status } = await run('apt-get', [...options, ...args], { cwd: apt });
    if (status !== 0) return undefined;
  }
  const deb = readdirSync(apt).find((name) => name.endsWith('.deb'));
  if (deb === undefined) return undefined;
  const unpacked = join(apt, 'unpacked');
  const { status } = await run('dpkg-deb', ['--extract', join(apt, deb), unpacked]);
  if (status !== 0) return undefined;
  renameSync(join(unpacked, 'usr/lib/aarch64-linux-gnu/libsqlite3.a'), library);
  rmSync(apt, { recursive: true });
  return library;
}

/** @returns {Promise<string | undefined>} the path of the addon; undefined: the build failed */
export async function crossBuild() {
  const library = await fetchSqlite();
  if (library === undefined) return undefined;
  const include = copyHeaders();
  const cmakeJs = join(root, 'node_modules/cmake-js/bin/cmake-js');
  const paths = ['UV', 'CURL', 'RAPIDJSON', 'SQLITE'].map(
    (name) => `--CD${name}_INCLUDE_DIR=${include}`,
  );
  const { status } = await run(process.execPath, [
    ...[cmakeJs, 'configure', '--log-level', 'warn', '--out', FOLDER, '--arch', 'arm64'],
    `--CDCMAKE_TOOLCHAIN_FILE=${join(root, 'scripts/cmake', `${CROSS_TARGET}.cmake`)}`,
    ...paths,
    `--CDSQLITE_LIBRARY=${library}`,
  ]);
  if (status !== 0 || !(await buildTree(FOLDER, ['sluice']))) return undefined;
  return join(root, FOLDER, 'Release/sluice.node');
}
