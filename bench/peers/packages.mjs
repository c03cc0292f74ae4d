/** Packages of peers that are no development dependencies: BENCH_PEERS is a folder that has them in `node_modules`. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fromRoot = createRequire(join(root, 'package.json'));
const fromPeers = createRequire(join(process.env.BENCH_PEERS ?? root, 'package.json'));

/** @param {string} name @returns {string | undefined} path of its module */
export function peerFile(name) {
  try {
    return fromPeers.resolve(name);
  } catch {
    return undefined;
  }
}

/** @param {string} name @returns {Promise<any>} its exports */
export async function importPeer(name) {
  const file = peerFile(name);
  if (file === undefined) throw new Error(`${name} is not installed: see bench/README.md`);
  return import(pathToFileURL(file).href);
}

/**
 * @param {NodeJS.Require} from
 * @param {string} name of a package, whose exports may not include its package.json
 */
function versionOf(from, name) {
  for (const folder of from.resolve.paths(name) ?? []) {
    try {
      return JSON.parse(readFileSync(`${folder}/${name}/package.json`, 'utf8')).version;
    } catch {
      // Not in this folder.
    }
  }
  return 'missing';
}

/** @param {string} name @returns {string} version of a dependency */
export const packageVersion = (name) => versionOf(fromRoot, name);

/** @param {string} name @returns {string} version of a package of BENCH_PEERS */
export const peerVersion = (name) => versionOf(fromPeers, name);
