/** Packages of peers that are no development dependencies: BENCH_PEERS is a folder that has them in `node_modules`. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(join(process.env.BENCH_PEERS ?? root, 'package.json'));

/** @param {string} name @returns {string | undefined} path of its module */
export function peerFile(name) {
  try {
    return require.resolve(name);
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

/** @param {string} name @returns {string} its version */
export function peerVersion(name) {
  const parts = (peerFile(name) ?? '').split('/node_modules/');
  const folder = `${parts.slice(0, -1).join('/node_modules/')}/node_modules/${name}`;
  try {
    return require(`${folder}/package.json`).version;
  } catch {
    return 'unknown';
  }
}
