/**
 * The long runs: servers that are killed over and over, thousands of streams at once, the stress tests
 * of the native core, each many times, and the HTTP tests over gateways mounted in plain node:http and
 * in Express. Needs some twenty-five minutes. The last line sums them up.
 *
 * SLUICE_CRASH_ROUNDS (default 100), SLUICE_CRASH_SEED and SLUICE_STRESS_STREAMS (default 10000) set
 * how long.
 *
 * Usage: node scripts/soak.mjs
 */
import { BUILD_FOLDER, buildAddon, buildNativeTests } from './build.mjs';
import { buildNeeds, nativeTestNeeds } from './lib/needs.mjs';
import { jestSuite, nativeSuite, notRun } from './lib/suites.mjs';
import { ensure } from './setup.mjs';

const CRASH_ROUNDS_DEFAULT = '100';
const STRESS_STREAMS_DEFAULT = '10000';
/** Patterns of the files whose length those variables set, and of the tests that only run here. */
const LONG_TESTS = ['crash', 'egress', 'stream-connections', 'test/soak/'];
/** How the HTTP tests serve their gateways, besides the gateway's own server. */
const MOUNTS = ['handler', 'express'];
/** How often each native stress test runs. */
const STRESS_REPEATS = 20;

if (!ensure([...buildNeeds, ...nativeTestNeeds])) process.exit(1);
const {
  SLUICE_CRASH_ROUNDS = CRASH_ROUNDS_DEFAULT,
  SLUICE_STRESS_STREAMS = STRESS_STREAMS_DEFAULT,
} = process.env;
const env = { ...process.env, SLUICE_CRASH_ROUNDS, SLUICE_STRESS_STREAMS };

const native = (await buildNativeTests())
  ? await nativeSuite(BUILD_FOLDER, {
      ctestArgs: ['-R', 'Stress|Random', '--repeat', `until-fail:${STRESS_REPEATS}`],
    })
  : notRun;
const jest = (await buildAddon())
  ? await jestSuite(['test/integration', 'test/soak'], {
      env,
      jestArgs: [...LONG_TESTS, '--testTimeout=3600000'],
    })
  : notRun;
const results = [native, jest];
for (const mount of MOUNTS) {
  console.log(`\n== HTTP tests, mounted by ${mount}`);
  const mounted = { ...process.env, SLUICE_TEST_MOUNT: mount };
  results.push(await jestSuite(['test/integration/http'], { env: mounted }));
}
const sum = (/** @type {'passed' | 'failed'} */ what) =>
  results.reduce((total, counts) => total + counts[what], 0);
console.log(`\n${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') > 0 ? 1 : 0;
