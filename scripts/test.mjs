/**
 * Runs the tests: jest's unit, integration and browser tests in one call, and GoogleTest at the
 * same time. Every suite runs even if another one fails. The last line sums them up, and the
 * exit status is 1 after any failure.
 *
 * Usage: node scripts/test.mjs [--checks] [native|unit|integration|browser]... [-- jest options]
 *   --checks   also runs types, lint and the fuzz targets, at the same time; each that fails counts as one failure
 */
import { parseArgs } from 'node:util';
import { buildAddon, buildNativeTests, findClang } from './build.mjs';
import { SECONDS, fuzzAll, fuzzTargets } from './fuzz.mjs';
import {
  browserTestNeeds,
  buildNeeds,
  nativeTestNeeds,
  redisBuildNeeds,
  serverTestNeeds,
} from './lib/needs.mjs';
import { run } from './lib/run.mjs';
import { gtestSuite, jestSuite, notRun } from './lib/suites.mjs';
import { ensure, FOR_REDIS, prefer, SERVER_TESTS_SKIPPED } from './setup.mjs';

/** @typedef {import('./lib/suites.mjs').Counts} Counts */

const all = ['native', 'unit', 'integration', 'browser'];
const separator = process.argv.indexOf('--');
const own = process.argv.slice(2, separator === -1 ? undefined : separator);
const jestArgs = separator === -1 ? [] : process.argv.slice(separator + 1);
const { positionals, values } = parseArgs({
  args: own,
  allowPositionals: true,
  options: { checks: { type: 'boolean', default: false } },
});
const unknown = positionals.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`sluice: unknown suite ${unknown.join(', ')}; there are ${all.join(', ')}`);
  process.exit(2);
}
const selected = all.filter((name) => positionals.length === 0 || positionals.includes(name));
const jestSuites = selected.filter((name) => name !== 'native');

/** The integration tests also drive Chromium, as one of the real clients. @param {string} name */
const needsOf = (name) =>
  name === 'native' ? nativeTestNeeds : name === 'unit' ? [] : browserTestNeeds;

/**
 * Runs one part and prints its whole output at its end, so that the outputs of concurrent
 * parts do not mix.
 * @param {string} title
 * @param {(print: (text: string) => void) => Promise<Counts>} part
 */
async function section(title, part) {
  const startedAt = performance.now();
  let text = '';
  const counts = await part((more) => {
    text += more;
  });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  const ended = text === '' || text.endsWith('\n') ? '' : '\n';
  process.stdout.write(`\n== ${title} (${seconds} s)\n${text}${ended}`);
  return counts;
}

/** TypeScript's compiler ends before its memory matters: it collects no garbage. */
const WITHOUT_GC = { GOGC: 'off' };

/** @param {string} script of package.json */
const check = (script) =>
  section(script, async (print) => {
    const env = { ...process.env, ...WITHOUT_GC };
    const { status } = await run('npm', ['run', '--silent', script], { env, print });
    return { passed: 0, failed: status === 0 ? 0 : 1, skipped: 0 };
  });

const native = () =>
  section('native tests', async (print) => {
    const folder = await buildNativeTests({ print });
    return folder === undefined ? notRun : gtestSuite(folder, { print });
  });

const fuzz = () =>
  section('fuzz targets', async (print) => {
    const targets = fuzzTargets();
    if (findClang() === undefined) {
      print('sluice: not run, for clang is not installed\n');
      return { passed: 0, failed: 0, skipped: targets.length };
    }
    return { passed: 0, failed: await fuzzAll(SECONDS, targets, { print }), skipped: 0 };
  });

/** @returns {Promise<Counts[]>} */
async function checks() {
  return values.checks ? [await check('types'), await check('lint'), await fuzz()] : [];
}

/** @returns {Promise<Counts>} */
async function jest() {
  if (jestSuites.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  console.log(`\n== ${jestSuites.join(', ')} tests`);
  if (!addonReady) {
    console.error('sluice: not run, for the addon is not built');
    return notRun;
  }
  const folders = jestSuites.map((name) => `test/${name}`);
  return jestSuite(folders, { env: WITHOUT_GC, jestArgs });
}

prefer(redisBuildNeeds, FOR_REDIS);
// The unit and integration tests load the addon, which must match the sources.
const addonReady =
  ensure([...buildNeeds, ...selected.flatMap(needsOf)]) &&
  (jestSuites.length === 0 || (await buildAddon()));

if (selected.includes('integration')) ensure(serverTestNeeds, SERVER_TESTS_SKIPPED);

// The tests of jest wait more than they compute: other parts run during their waits.
const results = (
  await Promise.all([jest(), selected.includes('native') ? native() : [], checks()])
).flat();
const sum = (/** @type {keyof Counts} */ field) =>
  results.reduce((total, counts) => total + counts[field], 0);

if (sum('skipped') > 0) console.log(`\n${sum('skipped')} skipped`);
console.log(`\n${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') > 0 ? 1 : 0;
