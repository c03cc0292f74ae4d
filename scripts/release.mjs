/**
 * The longer steps of .github/workflows/release.yml.
 *
 *   node scripts/release.mjs smoke [target]    loads prebuilds/<target>, default this platform, and runs a job
 *   node scripts/release.mjs prepare TAG URL   writes the addresses of the repository into package.json and
 *                                              README.md, after it has checked the version
 *   node scripts/release.mjs check FOLDER      whether FOLDER has a binary for each platform
 */
import { checkPrebuilds, prepareRelease } from './lib/release.mjs';
import { root } from './lib/run.mjs';
import { smoke } from './lib/smoke.mjs';

/** @type {Record<string, (...args: string[]) => void | Promise<void>>} */
const STEPS = {
  smoke: (target) => smoke(target),
  prepare: (tag, url) => prepareRelease(root, { tag, url }),
  check: (folder) => checkPrebuilds(folder),
};

const [step, ...args] = process.argv.slice(2);
if (!Object.hasOwn(STEPS, step ?? '')) {
  console.error(`sluice: the steps are ${Object.keys(STEPS).join(', ')}`);
  process.exit(2);
}
try {
  await STEPS[step](...args);
} catch (error) {
  console.error(`sluice: ${/** @type {Error} */ (error).message}`);
  process.exitCode = 1;
}
