/**
 * Runs the tests under the sanitizers:
 *   thread     the GoogleTest binary; covers core and runtime, as Node is not instrumented
 *   undefined  the GoogleTest binary
 *   address    the addon, loaded by Node under jest's unit tests with libasan preloaded; leaks are
 *              not looked for, since Node frees little on its way out
 *
 * Usage: node scripts/sanitize.mjs [thread|undefined|address]...
 */
import { join } from 'node:path';
import { buildAddon } from './build.mjs';
import { buildNeeds, nativeTestNeeds } from './lib/needs.mjs';
import { output, root } from './lib/run.mjs';
import { jestSuite, nativeSuite, notRun } from './lib/suites.mjs';
import { ensure } from './setup.mjs';

/** @param {string} sanitizer @param {NodeJS.ProcessEnv} env */
const gtestUnder = (sanitizer, env) => () =>
  nativeSuite({
    folder: `build-${sanitizer}`,
    cmakeOptions: [`-DSLUICE_SANITIZE=${sanitizer}`],
    env,
  });

async function addonUnderAddress() {
  // A folder of its own, so that the ordinary build stays as it is.
  const folder = 'build-address';
  if (!(await buildAddon(['--out', folder, '--CDSLUICE_SANITIZE=address']))) return notRun;
  const libasan = output(process.env.CXX ?? 'c++', ['-print-file-name=libasan.so']);
  if (!libasan.startsWith('/')) {
    console.error('sluice: the compiler has no libasan.so to preload');
    return notRun;
  }
  return jestSuite(['test/unit'], {
    // One process and no workers: a report must reach the terminal and the exit status.
    jestArgs: ['--runInBand'],
    env: {
      LD_PRELOAD: libasan,
      ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=0:exitcode=99',
      SLUICE_ADDON_PATH: join(root, folder, 'Release/sluice.node'),
    },
  });
}

/** @type {Record<string, () => Promise<import('./lib/suites.mjs').Counts>>} */
const runs = {
  thread: gtestUnder('thread', { TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1' }),
  undefined: gtestUnder('undefined', { UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1' }),
  address: addonUnderAddress,
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(runs);
const unknown = wanted.filter((name) => !(name in runs));
if (unknown.length > 0) {
  console.error(
    `sluice: unknown sanitizer ${unknown.join(', ')}; there are ${Object.keys(runs).join(', ')}`,
  );
  process.exit(2);
}
if (!ensure([...buildNeeds, ...nativeTestNeeds])) process.exit(1);

const total = { passed: 0, failed: 0 };
for (const name of wanted) {
  console.log(`\n== ${name} sanitizer`);
  const counts = await runs[name]();
  total.passed += counts.passed;
  total.failed += counts.failed;
}
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
