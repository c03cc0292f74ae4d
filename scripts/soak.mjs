/**
 * The long runs: servers that are killed repeatedly, thousands of streams at once, rounds of work
 * whose descriptors, gauges and memory return to where they were, the stress tests of the native core,
 * each many times, the HTTP tests over gateways mounted in plain node:http and in Express, and ten
 * minutes of each fuzz target, if clang is installed. Needs about fifty-five minutes without the fuzz
 * targets, thirty of them for a deployment whose processes are killed and stopped. The last line sums them up.
 *
 * SLUICE_CRASH_ROUNDS (default 100), SLUICE_CRASH_SEED, SLUICE_STRESS_STREAMS (default 10000),
 * SLUICE_SOAK_ROUNDS (default 40), SLUICE_KILL_MINUTES (default 30) and SLUICE_FUZZ_SECONDS (default 600, 0:
 * skipped) set the durations.
 *
 * Usage: node scripts/soak.mjs
 */
import { fuzzAll } from './fuzz.mjs';
import { buildAddon, buildNativeTests, findClang } from './build.mjs';
import { crossNeeds, emulatorNeeds } from './lib/cross.mjs';
import { buildNeeds, nativeTestNeeds, redisBuildNeeds } from './lib/needs.mjs';
import { jestSuite, nativeSuite, notRun } from './lib/suites.mjs';
import { ensure, prefer } from './setup.mjs';

const CRASH_ROUNDS_DEFAULT = '100';
const STRESS_STREAMS_DEFAULT = '10000';
const FUZZ_SECONDS_DEFAULT = '600';
/** Patterns of the files whose length those variables set, and of the tests that only run here. */
const LONG_TESTS = ['crash', 'egress', 'stream-connections', 'test/soak/', 'test/browser/'];
/** Servers of the HTTP tests, besides the gateway's own server. */
const MOUNTS = ['handler', 'express'];
/** Runs of each native stress test. */
const STRESS_REPEATS = 20;

if (!ensure([...buildNeeds, ...nativeTestNeeds, ...redisBuildNeeds])) process.exit(1);
prefer([...crossNeeds, ...emulatorNeeds], 'for the build for another architecture');
const {
  SLUICE_CRASH_ROUNDS = CRASH_ROUNDS_DEFAULT,
  SLUICE_STRESS_STREAMS = STRESS_STREAMS_DEFAULT,
} = process.env;
const env = {
  ...process.env,
  ...{ SLUICE_CRASH_ROUNDS, SLUICE_STRESS_STREAMS, SLUICE_ALL_LOOKS: '1' },
  SLUICE_TEST_LIMIT_MS: '3600000',
};

const tree = await buildNativeTests();
const native =
  tree === undefined
    ? notRun
    : await nativeSuite(tree, {
        ctestArgs: ['-R', 'Stress|Random', '--repeat', `until-fail:${STRESS_REPEATS}`],
      });
const jest = (await buildAddon())
  ? await jestSuite(['test/integration', 'test/browser', 'test/soak'], {
      env,
      jestArgs: LONG_TESTS,
    })
  : notRun;
/** @returns {Promise<number>} the targets with findings */
async function fuzz() {
  const seconds = Number(process.env.SLUICE_FUZZ_SECONDS ?? FUZZ_SECONDS_DEFAULT);
  if (seconds === 0) return 0;
  if (findClang() === undefined) {
    console.log('\nthe fuzz targets were skipped: they take clang');
    return 0;
  }
  return fuzzAll(seconds);
}

const results = [native, jest];
for (const mount of MOUNTS) {
  console.log(`\n== HTTP tests, mounted by ${mount}`);
  const mounted = { ...process.env, SLUICE_TEST_MOUNT: mount };
  results.push(await jestSuite(['test/integration/http'], { env: mounted }));
}
const passed = results.reduce((sum, counts) => sum + counts.passed, 0);
const failed = results.reduce((sum, counts) => sum + counts.failed, 0) + (await fuzz());
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
