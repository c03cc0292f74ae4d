/** A job that a process has taken from another one, and whose log it then loses: it takes the job again. */
import { handProvider } from '../../support/providers/providers.js';
import { partsOf } from '../../support/gateway/parts.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { useRedis } from '../../support/cluster/redis.js';
import { until } from '../../support/until.js';

const server = useRedis();
afterEach(stopAll);

test('a job whose log could not be read at its takeover is taken again, and runs', async () => {
  const hand = handProvider();
  const open = () =>
    start({
      ...{ provider: hand.provider, cache: { mode: 'off' }, maxConcurrency: 1 },
      redis: { url: server.url, leaseMs: 1000 },
    });
  const [a, b] = [await open(), await open()];
  for (const node of [a, b]) await node.ready();
  const submit = async (node, prompt) => {
    const { status, body } = await node.submit({ prompt, on_disconnect: 'continue' });
    expect(status).toBe(201);
    return body.job_id;
  };
  // Each has a job that runs, so that the next one waits.
  for (const [i, node] of [a, b].entries()) {
    const first = await submit(node, 'first');
    (await hand.call(i)).push('token');
    await until(async () => (await node.job(first)).text === 'token', 'a token');
  }
  const id = await submit(a, 'second');
  const closed = a.gateway.close({ drainMs: 0 });
  const { lifecycle, hub } = partsOf(b.gateway);
  const taken = () => lifecycle.jobs.byId(id);
  await until(() => taken() !== undefined, 'the takeover');
  await closed;
  const { handle } = taken();
  // As when the connection is lost before the log is read.
  hub.fence(handle);
  await until(() => taken() !== undefined && taken().handle !== handle, 'the second takeover');
  hand.calls[1].end();
  const call = await hand.call(2);
  expect(call.request.prompt).toBe('second');
  call.push('done');
  call.end();
  expect(await b.ended(id)).toMatchObject({ status: 'completed', text: 'done' });
});
