/**
 * Builds the addon of an installed package from the sources in it, for platforms without a prebuild:
 * `npx sluice build` runs it. It installs nothing, and lists missing packages.
 */
import { createRequire } from 'node:module';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BUILD_FOLDER, buildAddon } from './build.mjs';
import { buildNeeds, describeMissing, redisBuildNeeds } from './lib/needs.mjs';
import { root, run } from './lib/run.mjs';

/** Packages needed only for a build, so they are not dependencies. */
const BUILD_PACKAGES = ['cmake-js', 'node-addon-api'];

/** @param {string} name */
function isInstalled(name) {
  try {
    createRequire(import.meta.url).resolve(`${name}/package.json`);
    return true;
  } catch {
    return false;
  }
}

/** @returns {string[]} a sentence for each kind of missing package */
function findMissing() {
  const problems = [];
  const packages = BUILD_PACKAGES.filter((name) => !isInstalled(name));
  if (packages.length > 0) {
    const install = `npm install --no-save ${BUILD_PACKAGES.join(' ')}`;
    problems.push(
      `the build needs the packages ${packages.join(', ')}. Install them with:\n\n    ${install}\n`,
    );
  }
  const missing = buildNeeds.filter((need) => !need.found());
  if (missing.length > 0) problems.push(describeMissing(missing));
  return problems;
}

const problems = findMissing();
for (const problem of problems) console.error(`sluice: ${problem}`);
if (problems.length > 0) process.exit(1);

const wanted = redisBuildNeeds.filter((need) => !need.found());
if (wanted.length > 0) {
  const otherwise = '; the addon is built without it, and cannot use Redis';
  console.error(`sluice: ${describeMissing(wanted, { otherwise })}`);
}

// Warnings of an untested compiler must not stop the build.
if (!(await buildAddon(['--CDSLUICE_WARNINGS_AS_ERRORS=OFF']))) {
  console.error('sluice: the build failed; the lines above say where');
  process.exit(1);
}
const loader = pathToFileURL(join(root, 'lib/internal/native/addon.js')).href;
const load = ['--input-type=module', '--eval', `await import(${JSON.stringify(loader)})`];
if ((await run(process.execPath, load)).status !== 0) process.exit(1);
// Objects and precompiled headers are twenty times as large as the addon.
for (const name of readdirSync(join(root, BUILD_FOLDER))) {
  if (name !== 'Release') rmSync(join(root, BUILD_FOLDER, name), { recursive: true });
}
console.log(`built ${join(root, BUILD_FOLDER, 'Release/sluice.node')}`);
