/** Gateways in front of a mock upstream. `stopAll` closes both. */
import { providers } from '../../../lib/index.js';
import { cleanUp, start } from './gateway.js';
import { startMockUpstream } from '../upstream/mock-upstream.js';

/** A mock upstream that `stopAll` closes after the gateways made later. */
export async function mockUpstream(respond) {
  const upstream = await startMockUpstream(respond);
  cleanUp(() => upstream.close());
  return upstream;
}

/**
 * A served gateway whose OpenAI provider calls a mock upstream.
 * @param {Parameters<typeof startMockUpstream>[0]} respond
 * @param {object} [options] of the gateway, except for `provider`: those of its provider
 */
export async function startBefore(respond, { provider, ...options } = {}) {
  const upstream = await mockUpstream(respond);
  const calling = providers.openai({ baseUrl: upstream.url, ...provider });
  return { upstream, ...(await start({ provider: calling, ...options })) };
}
