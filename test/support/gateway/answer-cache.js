/** Gateways of the tests of shared and stored answers. */
import { start } from './gateway.js';
import { handProvider } from '../providers/providers.js';
import { partsOf } from './parts.js';

export const question = { prompt: 'What is it?', temperature: 0 };

/** A gateway with a provider that the test plays by hand. */
export async function byHand(options) {
  const hand = handProvider();
  return { ...(await start({ provider: hand.provider, ...options })), ...hand };
}

/** A gateway that answers each request with its prompt and the number of the call. */
export async function counting(options) {
  const made = { calls: 0 };
  const server = await start({
    async *provider({ prompt }) {
      made.calls += 1;
      yield `${prompt} `;
      yield `${made.calls}`;
    },
    ...options,
  });
  /** Submits a request, and returns the outcome. */
  async function ask(body = question, headers = undefined) {
    const answer = await server.submit(body, headers);
    const { status, text } = await server.ended(answer.body.job_id);
    return { cache: answer.headers.get('x-cache'), id: answer.body.job_id, status, text };
  }
  return Object.assign(made, { ...server, ask });
}

/** The hub's snapshot of the hidden job behind a job's answer; null once it is removed. */
export function hidden(gateway, id) {
  const {
    hub,
    lifecycle: { jobs },
  } = partsOf(gateway);
  return hub.snapshot(jobs.get(id, 'anonymous').answer.handle);
}
