/**
 * Requirements of a checkout for the operating system, and checks for them.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { which } from './run.mjs';

/**
 * @typedef {object} Need
 * @property {string} name
 * @property {string} package Debian's name of it
 * @property {() => boolean} found
 * @property {string} [service] the service that the package would start, now and at each boot
 */

/**
 * @param {Need[]} missing
 * @param {{otherwise?: string}} [options] `otherwise`: the consequence if it stays missing
 * @returns {string} the missing packages, and their installation
 */
export function describeMissing(missing, { otherwise = '' } = {}) {
  const packages = [...new Set(missing.map((need) => need.package))];
  const names = [...new Set(missing.map((need) => need.name))].join(', ');
  const fix =
    which('apt-get') === undefined
      ? `Install it with your system's package manager (Debian calls it ${packages.join(', ')}).`
      : `Install it with:\n\n    sudo apt-get install -y --no-install-recommends ${packages.join(' ')}\n`;
  return `this machine lacks ${names}${otherwise}. ${fix}`;
}

const includeFolders = ['/usr/include', '/usr/local/include', '/opt/homebrew/include'];
/** Folder of Node's headers, including those of libuv. */
export const nodeInclude = resolve(process.execPath, '../../include/node');

/**
 * @param {string} header a file or a folder
 * @param {string[]} [more] further folders to look in
 * @returns {string | undefined} its path
 */
export function findHeader(header, more = []) {
  const own = (process.env.CPATH ?? '').split(':').filter(Boolean);
  const folders = [...own, ...more, ...includeFolders, ...nestedFolders('/usr/include')];
  return folders.map((folder) => join(folder, header)).find((path) => existsSync(path));
}

/** @param {string} header @param {string[]} [more] further folders to look in */
const hasHeader = (header, more) => findHeader(header, more) !== undefined;

/**
 * Debian keeps some files one level down, in a folder named after the architecture.
 * @param {string} folder
 */
function nestedFolders(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'))
    .map((entry) => join(folder, entry.name));
}

/** Whether some library folder of the system holds this file. @param {string} file */
function hasLibrary(file) {
  const folders = ['/usr/lib', '/usr/lib64', '/usr/local/lib', '/opt/homebrew/lib'];
  const nested = nestedFolders('/usr/lib');
  return [...folders, ...nested].some((folder) => existsSync(join(folder, file)));
}

/**
 * Libraries that are linked statically, so that a packaged binary has no dependencies: the prefix of their
 * variables in CMakeLists.txt, Debian's package, the archive, and the headers (files or folders). The
 * build for another architecture uses the same list.
 * @typedef {{name: string, package: string, archive: string, headers: string[]}} StaticLibrary
 */

/** @type {StaticLibrary} */
const sqlite = {
  name: 'SQLITE',
  package: 'libsqlite3-dev',
  archive: 'libsqlite3.a',
  headers: ['sqlite3.h'],
};
/** @type {StaticLibrary} */
const hiredis = {
  name: 'HIREDIS',
  package: 'libhiredis-dev',
  archive: 'libhiredis.a',
  headers: ['hiredis'],
};

export const staticLibraries = [sqlite, hiredis];

/** @param {StaticLibrary} library @param {string} name */
const libraryNeed = ({ package: packageName, archive, headers }, name) => ({
  name,
  package: packageName,
  found: () => headers.every((header) => hasHeader(header)) && hasLibrary(archive),
});

/** @type {Need[]} */
export const buildNeeds = [
  {
    name: 'a C++20 compiler',
    package: 'g++',
    found: () => Boolean(process.env.CXX ?? which('c++', 'g++', 'clang++')),
  },
  { name: 'CMake', package: 'cmake', found: () => Boolean(which('cmake')) },
  { name: 'Make or Ninja', package: 'make', found: () => Boolean(which('make', 'ninja')) },
  {
    name: 'the header uv.h',
    package: 'libuv1-dev',
    found: () => hasHeader('uv.h', [nodeInclude]),
  },
  {
    name: 'the RapidJSON headers',
    package: 'rapidjson-dev',
    found: () => hasHeader('rapidjson/reader.h'),
  },
  {
    // Only the headers: the library is loaded at run time.
    name: 'the header curl/curl.h',
    package: 'libcurl4-openssl-dev',
    found: () => hasHeader('curl/curl.h'),
  },
  libraryNeed(sqlite, 'SQLite as a static library, with its header'),
];

/** Without it the build succeeds, but the addon refuses the option `redis`. */
/** @type {Need[]} */
export const redisBuildNeeds = [
  libraryNeed(hiredis, 'hiredis as a static library, with its headers'),
];

/**
 * Programs that make a build faster. They are installed together with missing packages, and are optional:
 * without them CMakeLists.txt and cmake-js use make and the compiler's own linker.
 */
/** @type {Need[]} */
export const fasterBuildNeeds = [
  { name: 'Ninja', package: 'ninja-build', found: () => Boolean(which('ninja')) },
  { name: 'lld', package: 'lld', found: () => Boolean(which('ld.lld')) },
];

/** The GoogleTest binary links the system's libuv, which needs more than Node's headers. */
/** @type {Need[]} */
export const nativeTestNeeds = [
  {
    name: 'libuv with its headers',
    package: 'libuv1-dev',
    found: () =>
      hasHeader('uv.h') && ['libuv.so', 'libuv.a', 'libuv.dylib'].some((file) => hasLibrary(file)),
  },
  {
    name: 'GoogleTest',
    package: 'libgtest-dev',
    found: () => hasHeader('gtest/gtest.h') && hasLibrary('libgtest.a'),
  },
];

/** @type {Need[]} */
export const browserTestNeeds = [
  {
    name: 'Chromium',
    package: 'chromium',
    // Path used by the tests: test/browser/chromium.js.
    found: () => existsSync(process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'),
  },
];

/**
 * Real programs that the integration tests run: they read the logs of both, and Redis joins several
 * processes. Without them those tests are skipped.
 */
/** @type {Need[]} */
export const serverTestNeeds = [
  { name: 'nginx', package: 'nginx', found: () => Boolean(which('nginx')), service: 'nginx' },
  {
    name: 'HAProxy',
    package: 'haproxy',
    found: () => Boolean(which('haproxy')),
    service: 'haproxy',
  },
  {
    name: 'redis-server',
    package: 'redis-server',
    found: () => Boolean(which('redis-server')),
    service: 'redis-server',
  },
];
