/** Mock upstreams, gateways that choose among them, and answers of upstreams that fail. */
import { providers } from '../../../lib/index.js';
import { start } from './gateway.js';
import { mockUpstream } from './upstream.js';
import { streamTokens } from '../upstream/mock-upstream.js';

/** A mock upstream that answers with its name, or by `respond`. */
export async function upstream(name, respond = streamTokens({ tokens: ['from ', name] })) {
  const mock = await mockUpstream(respond);
  return { mock, config: { name, base_url: mock.url } };
}

export const retry = { attempts: 3, baseMs: 1, capMs: 2 };

/** A gateway over `upstreams`, a list of `{mock, config}`, in this order. */
export async function gatewayOver(upstreams, { fallbacks, ...options } = {}) {
  const config = upstreams.map((each) => each.config);
  const provider = providers.route({ upstreams: config, ...(fallbacks && { fallbacks }) });
  return { provider, ...(await start({ provider, retry, ...options })) };
}

/** Submits a job and waits for its end: the job, and its events as `[id, type, upstream or text]`. */
export async function ask({ submit, stream, ended }, body = {}) {
  const {
    status,
    headers,
    body: answer,
  } = await submit(body.messages ? body : { prompt: 'hi', ...body });
  if (status !== 201) return { status, headers, error: answer.error };
  const { done } = await stream(answer.stream_url);
  const events = (await done).map(({ id, type, data }) => [
    id,
    type,
    data.upstream ?? data.token ?? data.error?.code ?? data.reason,
  ]);
  return { job: await ended(answer.job_id), events };
}

/** An upstream's refusal. */
export const fails =
  (status, headers = {}, body = '{"error":{"message":"no"}}') =>
  (exchange) => {
    exchange.open(status, { 'content-type': 'application/json', ...headers });
    exchange.res.end(body);
  };
