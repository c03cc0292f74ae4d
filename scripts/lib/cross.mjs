/**
 * The cross build for linux-arm64 on a Debian of another architecture. The headers, which are equal on
 * every architecture, come from this machine; the static libraries come from Debian's packages for
 * arm64. Both are in a folder of the build tree, so that the system is not changed.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildTree } from '../build.mjs';
import { findHeader, nodeInclude, staticLibraries } from './needs.mjs';
import { root, run, which } from './run.mjs';

/** @typedef {import('./needs.mjs').Need} Need */

export const CROSS_TARGET = 'linux-arm64';

const FOLDER = `build-${CROSS_TARGET}`;
const SYSROOT = join(root, FOLDER, 'sysroot');

/** Additional requirements of the cross build. @type {Need[]} */
export const crossNeeds = [
  {
    name: 'a C++ compiler for arm64',
    package: 'g++-aarch64-linux-gnu',
    found: () => Boolean(which('aarch64-linux-gnu-g++')),
  },
  { name: 'apt-get', package: 'apt', found: () => Boolean(which('apt-get')) },
  { name: 'dpkg-deb', package: 'dpkg', found: () => Boolean(which('dpkg-deb')) },
];

/** Requirements for running a binary for arm64 on this machine. @type {Need[]} */
export const emulatorNeeds = [
  {
    name: 'an emulator for arm64 programs',
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
  const ofLibraries = staticLibraries.flatMap(({ headers }) => headers);
  for (const name of ['uv.h', 'uv', 'curl', 'rapidjson', ...ofLibraries]) {
    const from = findHeader(name, [nodeInclude]);
    // Keep the times of files: otherwise every build would compile everything.
    if (from !== undefined) {
      cpSync(from, join(include, name), { recursive: true, preserveTimestamps: true });
    }
  }
  return include;
}

/** @param {import('./needs.mjs').StaticLibrary} library */
const pathOf = ({ archive }) => join(SYSROOT, archive);

/**
 * Downloads Debian's packages of the static libraries for arm64 with separate lists: the system's apt
 * keeps its architectures.
 * @returns {Promise<boolean>} whether all libraries are there
 */
async function fetchLibraries() {
  const missing = staticLibraries.filter((library) => !existsSync(pathOf(library)));
  if (missing.length === 0) return true;
  const apt = join(SYSROOT, 'apt');
  for (const folder of ['lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(apt, folder), { recursive: true });
  }
  const options = [
    ...['-qq', '-o', 'APT::Architecture=arm64', '-o', 'APT::Architectures::=arm64'],
    ...['-o', `Dir::State::Lists=${join(apt, 'lists')}`, '-o', `Dir::Cache=${join(apt, 'cache')}`],
    ...['-o', 'Dir::State::status=/dev/null', '-o', 'APT::Sandbox::User=root'],
  ];
  const packages = missing.map((library) => `${library.package}:arm64`);
  for (const args of [['update'], ['download', ...packages]]) {
    const { status } = await run('apt-get', [...options, ...args], { cwd: apt });
    if (status !== 0) return false;
  }
  const unpacked = join(apt, 'unpacked');
  for (const deb of readdirSync(apt).filter((name) => name.endsWith('.deb'))) {
    const { status } = await run('dpkg-deb', ['--extract', join(apt, deb), unpacked]);
    if (status !== 0) return false;
  }
  for (const library of missing) {
    renameSync(join(unpacked, 'usr/lib/aarch64-linux-gnu', library.archive), pathOf(library));
  }
  rmSync(apt, { recursive: true });
  return true;
}

/** @returns {Promise<string | undefined>} the path of the addon; undefined: the build failed */
export async function crossBuild() {
  if (!(await fetchLibraries())) return undefined;
  const include = copyHeaders();
  const cmakeJs = join(root, 'node_modules/cmake-js/bin/cmake-js');
  const names = ['UV', 'CURL', 'RAPIDJSON', ...staticLibraries.map(({ name }) => name)];
  const paths = [
    ...names.map((name) => `--CD${name}_INCLUDE_DIR=${include}`),
    ...staticLibraries.map((library) => `--CD${library.name}_LIBRARY=${pathOf(library)}`),
  ];
  const { status } = await run(process.execPath, [
    ...[cmakeJs, 'configure', '--log-level', 'warn', '--out', FOLDER, '--arch', 'arm64'],
    `--CDCMAKE_TOOLCHAIN_FILE=${join(root, 'scripts/cmake', `${CROSS_TARGET}.cmake`)}`,
    ...paths,
  ]);
  if (status !== 0 || !(await buildTree(FOLDER, ['sluice']))) return undefined;
  return join(root, FOLDER, 'Release/sluice.node');
}
