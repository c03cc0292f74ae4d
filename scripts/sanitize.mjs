/**
 * Runs the tests under the sanitizers:
 *   thread     the GoogleTest binary; covers core and runtime, as Node is not instrumented
 *   undefined  the GoogleTest binary
 *   address    the addon, loaded by Node under jest's unit and integration tests with libasan
 *              preloaded; without leak detection, since Node frees little memory at its exit
 *
 * Usage: node scripts/sanitize.mjs [thread|undefined|address]... [-- files of tests, for address]
 */
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { buildAddon, buildTree, configureTree } from './build.mjs';
import { buildNeeds, nativeTestNeeds, redisBuildNeeds } from './lib/needs.mjs';
import { output, root } from './lib/run.mjs';
import { jestSuite, nativeSuite, notRun } from './lib/suites.mjs';
import { FOR_REDIS, ensure, prefer } from './setup.mjs';

const separator = process.argv.indexOf('--');
const own = process.argv.slice(2, separator === -1 ? undefined : separator);
const files = separator === -1 ? [] : process.argv.slice(separator + 1);

/** @param {string} sanitizer @param {NodeJS.ProcessEnv} env */
const gtestUnder = (sanitizer, env) => async () => {
  const folder = `build-${sanitizer}`;
  const options = ['-DCMAKE_BUILD_TYPE=RelWithDebInfo', `-DSLUICE_SANITIZE=${sanitizer}`];
  if (!(await configureTree(folder, options))) return notRun;
  if (!(await buildTree(folder, ['sluice_tests']))) return notRun;
  return nativeSuite(folder, { env: { ...process.env, ...env } });
};

/** Tests that start other programs, which do not work with libasan: Chromium, nginx, redis-server. */
const NOT_UNDER_ADDRESS = ['/readme', '/logs-real', '/real-engine', '/cluster/', '/redis-link'];

/** The reports of a run's processes, servers that tests started among them. @param {string} folder */
function printReports(folder) {
  const reports = readdirSync(folder);
  for (const name of reports) console.error(readFileSync(join(folder, name), 'utf8'));
  return reports.length;
}

async function addonUnderAddress() {
  // A separate folder, so that the ordinary build is unchanged.
  const folder = 'build-address';
  if (!(await buildAddon(['--out', folder, '--CDSLUICE_SANITIZE=address']))) return notRun;
  const libasan = output(process.env.CXX ?? 'c++', ['-print-file-name=libasan.so']);
  if (!libasan.startsWith('/')) {
    console.error('sluice: the compiler has no libasan.so to preload');
    return notRun;
  }
  const reports = mkdtempSync(join(tmpdir(), 'sluice-asan-'));
  try {
    const counts = await jestSuite(files.length > 0 ? files : ['test/unit', 'test/integration'], {
      // One process and no workers, which take long to load such a large addon.
      // The options must precede the patterns: jest treats all later arguments as patterns.
      jestArgs: ['--testPathIgnorePatterns', NOT_UNDER_ADDRESS.join('|'), '--runInBand'],
      env: {
        LD_PRELOAD: libasan,
        // Written to files, because a test may capture the output of its server.
        ASAN_OPTIONS: `detect_leaks=0:exitcode=99:log_path=${reports}/report`,
        SLUICE_ADDON_PATH: join(root, folder, 'Release/sluice.node'),
      },
    });
    return { ...counts, failed: counts.failed + printReports(reports) };
  } finally {
    rmSync(reports, { recursive: true, force: true });
  }
}

/** @type {Record<string, () => Promise<import('./lib/suites.mjs').Counts>>} */
const runs = {
  thread: gtestUnder('thread', { TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1' }),
  undefined: gtestUnder('undefined', { UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1' }),
  address: addonUnderAddress,
};

const selected = own.length > 0 ? own : Object.keys(runs);
const unknown = selected.filter((name) => !(name in runs));
if (unknown.length > 0) {
  console.error(
    `sluice: unknown sanitizer ${unknown.join(', ')}; there are ${Object.keys(runs).join(', ')}`,
  );
  process.exit(2);
}
if (!ensure([...buildNeeds, ...nativeTestNeeds])) process.exit(1);
prefer(redisBuildNeeds, FOR_REDIS);

const total = { passed: 0, failed: 0 };
for (const name of selected) {
  console.log(`\n== ${name} sanitizer`);
  const counts = await runs[name]();
  total.passed += counts.passed;
  total.failed += counts.failed;
}
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
