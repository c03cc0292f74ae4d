/** The rounds of the crash tests: a server is killed over and over with one data file. */
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from './cli.js';

/** Enough kills to hit each kind of moment; `npm run test:soak` runs many more. */
const ROUNDS_DEFAULT = 4;

/** How often a test kills its server: SLUICE_CRASH_ROUNDS. */
export const rounds = Number(process.env.SLUICE_CRASH_ROUNDS ?? ROUNDS_DEFAULT);

/** The seed of the moments: SLUICE_CRASH_SEED; default: a random one. */
export const seed = Number(process.env.SLUICE_CRASH_SEED ?? Date.now() % 2 ** 31);

/** The longest pause between sufficient load and the kill. */
const PAUSE_MS = 700;

/**
 * Serves one data file repeatedly: checks the state of each server, and kills it at a random moment under
 * load. The last one ends by SIGTERM.
 * @param {object} options
 * @param {number} [options.crashes] default: `rounds`
 * @param {() => number} options.random
 * @param {(round: number) => string[]} options.args of `sluice serve`
 * @param {(server: any, round: number) => Promise<unknown>} options.check
 * @param {(server: any, stopped: () => boolean, round: number) =>
 *   {clients: Promise<unknown>, enough: () => Promise<unknown>, pauseMs?: number}} options.load `clients` continue
 *   until they are stopped; `enough` resolves once the server may be killed
 */
export async function crashRounds({ crashes = rounds, random, args, check, load }) {
  for (let round = 0; round <= crashes; round += 1) {
    const server = await serve(...args(round));
    try {
      await check(server, round);
    } catch (cause) {
      throw new Error(`in round ${round} of seed ${seed}`, { cause });
    }
    if (round === crashes) {
      server.child.kill('SIGTERM');
      expect((await server.exited).code).toBe(0);
      return;
    }
    let stopped = false;
    const { clients, enough, pauseMs = PAUSE_MS } = load(server, () => stopped, round);
    clients.catch(() => {});
    await enough();
    await sleep(random() * pauseMs);
    stopped = true;
    server.child.kill('SIGKILL');
    await server.exited;
    await clients;
  }
}
