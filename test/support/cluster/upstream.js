/**
 * An upstream with planned answers: each prompt is a plan, made by `plan()`. An answer may
 * pause at given tokens until the test continues it, so that tests wait for events, not for time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startMockUpstream } from '../upstream/mock-upstream.js';

/**
 * @typedef {object} Plan
 * @property {string} name of the job in its tokens; unique within a test
 * @property {number} tokens
 * @property {number} [intervalMs] between two tokens; default 0
 * @property {number} [refuseWith] status of a refusal, in place of an answer; with `stopAt` 0
 * @property {number} [stopAt] tokens after which the answer waits for `upstream.go(name)`
 */

let numbers = 0;

/** @param {Partial<Plan>} [fields] @returns {{prompt: string, plan: Plan}} */
export function plan(fields = {}) {
  numbers += 1;
  const full = { name: `p${numbers}`, tokens: 10, ...fields };
  return { prompt: JSON.stringify(full), plan: full };
}

/** @param {Plan} plan */
export const tokensOf = ({ name, tokens }) =>
  Array.from({ length: tokens }, (_, i) => `${name}:${i} `);

/** @param {Plan} plan */
export const textOf = (one) => tokensOf(one).join('');

/** Starts the upstream; `calls(name)` are the calls for a plan, `go(name)` continues its answers. */
export async function startScriptedUpstream() {
  /** @type {Map<string, {calls: import('../upstream/mock-upstream.js').Exchange[], released: Promise<void>, release: () => void}>} */
  const plans = new Map();
  const of = (name) => {
    if (!plans.has(name)) {
      let release;
      const released = new Promise((resolve) => (release = resolve));
      plans.set(name, { calls: [], released, release });
    }
    return plans.get(name);
  };
  const upstream = await startMockUpstream(async (exchange) => {
    const own = JSON.parse(exchange.body.messages.at(-1).content);
    const { name, intervalMs = 0, stopAt } = own;
    const state = of(name);
    state.calls.push(exchange);
    if (own.refuseWith !== undefined) {
      await state.released;
      exchange.open(own.refuseWith, { 'content-type': 'application/json' });
      exchange.res.end('{"error":{"message":"no such thing","type":"invalid_request_error"}}');
      return;
    }
    exchange.open();
    for (const [i, token] of tokensOf(own).entries()) {
      if (i === stopAt) await Promise.race([state.released, exchange.closed]);
      if (exchange.closedAtMs !== undefined) return;
      if (intervalMs > 0) await sleep(intervalMs);
      await exchange.delta(token);
    }
    if (stopAt >= own.tokens) await Promise.race([state.released, exchange.closed]);
    await exchange.finish();
    await exchange.usage(7, own.tokens);
    await exchange.done();
    exchange.end();
  });
  return Object.assign(upstream, {
    calls: (name) => of(name).calls,
    go: (name) => of(name).release(),
  });
}
