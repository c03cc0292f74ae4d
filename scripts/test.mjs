/**
 * Runs the tests: GoogleTest under CTest, then jest's unit, integration and browser tests. Every
 * suite runs even when an earlier one failed. The last line sums them up, and the exit status is 1
 * when anything failed. The soak tests run only when named.
 *
 * Usage: node scripts/test.mjs [native|unit|integration|browser|soak]... [-- jest options]
 */
import { parseArgs } from 'node:util';
import { buildAddon } from './build.mjs';
import { browserTestNeeds, buildNeeds, logTestNeeds, nativeTestNeeds } from './lib/needs.mjs';
import { jestSuite, nativeSuite, notRun } from './lib/suites.mjs';
import { ensure, kLogTestsSkipped } from './setup.mjs';

const all = ['native', 'unit', 'integration', 'browser'];
/** Suites that run only when they are named: too long for each change. */
const onRequest = ['soak'];
const known = [...all, ...onRequest];
const separator = process.argv.indexOf('--');
const own = process.argv.slice(2, separator === -1 ? undefined : separator);
const jestArgs = separator === -1 ? [] : process.argv.slice(separator + 1);
const { positionals } = parseArgs({ args: own, allowPositionals: true });
const unknown = positionals.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`sluice: unknown suite ${unknown.join(', ')}; there are ${known.join(', ')}`);
  process.exit(2);
}
const wanted = positionals.length === 0 ? all : known.filter((name) => positionals.includes(name));

/** The integration tests drive Chromium too, as one of the real clients. @param {string} name */
const needsOf = (name) =>
  name === 'native' ? nativeTestNeeds : name === 'unit' ? [] : browserTestNeeds;

// The unit and integration tests load the addon, which must be that of the sources at hand.
const addonReady =
  ensure([...buildNeeds, ...wanted.flatMap(needsOf)]) &&
  (wanted.every((name) => name === 'native') || (await buildAddon()));

if (wanted.includes('integration')) ensure(logTestNeeds, kLogTestsSkipped);

const total = { passed: 0, failed: 0, skipped: 0 };
for (const name of wanted) {
  console.log(`\n== ${name} tests`);
  /** @type {import("./lib/suites.mjs").Counts} */
  let counts = notRun;
  if (name === 'native') counts = await nativeSuite();
  else if (addonReady) counts = await jestSuite([`test/${name}`], { jestArgs });
  else console.error('sluice: not run, for the addon is not built');
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}

if (total.skipped > 0) console.log(`\n${total.skipped} skipped`);
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
