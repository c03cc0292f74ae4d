/** Failovers over several leases: a job that loses its process repeatedly, and several choices. */
import { deploy, removeFiles, stopDeployments } from '../../support/cluster/deployment.js';
import { textOf } from '../../support/cluster/upstream.js';
import { until } from '../../support/until.js';

afterEach(stopDeployments);
afterAll(removeFiles);

/** The process with the open call of the upstream, found by its state of the job. */
async function ownerOf({ redis, nodes }, id) {
  const name = await redis.call('HGET', `{sluice}:job:${id}`, 'owner');
  const pid = await redis.call('HGET', `{sluice}:proc:${name}`, 'pid');
  return nodes.find(({ child }) => String(child.pid) === pid);
}

test('a job that has lost three processes fails, and is not run a fourth time', async () => {
  const deployment = await deploy({ processes: 4, flags: ['--on-producer-lost', 'rerun'] });
  const job = await deployment.submit(deployment.nodes[0], { tokens: 4, stopAt: 2 });
  const calls = () => deployment.upstream.calls(job.plan.name).length;
  for (const attempt of [1, 2, 3]) {
    await until(() => calls() === attempt, `attempt ${attempt}`);
    const owner = await ownerOf(deployment, job.id);
    await owner.crash();
  }
  const reader = await deployment.read(job.path).done;
  expect(reader.events.at(-1)).toMatchObject({
    ...{ type: 'job_error', data: { error: { code: 'producer_lost' } } },
  });
  expect(calls()).toBe(3);
});

test('a job of two choices is run again whole', async () => {
  const deployment = await deploy();
  const [a, b] = deployment.nodes;
  const plan = { name: 'two', tokens: 3, stopAt: 0 };
  const body = {
    ...{ model: 'm', n: 2, stream: true, sluice: { on_disconnect: 'continue' } },
    messages: [{ role: 'user', content: JSON.stringify(plan) }],
  };
  const request = fetch(`${a.url}/v1/chat/completions`, {
    ...{ method: 'POST', body: JSON.stringify(body) },
    headers: { 'content-type': 'application/json' },
  }).catch(() => undefined);
  await until(() => deployment.upstream.calls('two').length === 1, 'the upstream to be called');
  const { data } = (await b.get('/v1/jobs')).body;
  await a.crash();
  await request;
  deployment.upstream.go('two');
  // The scripted upstream answers the first choice alone, which is an error of the upstream.
  expect(await b.ended(data[0].job_id)).toMatchObject({
    ...{ status: 'failed', text: textOf(plan), error: { code: 'upstream_incomplete' } },
  });
  const logs = await deployment.redis.keys('{sluice}:log:*');
  expect(logs).toHaveLength(2);
  await until(async () => {
    const ends = await Promise.all(
      logs.map((log) => deployment.redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)),
    );
    return ends.every(([[id, fields]]) => id.startsWith('2-') && fields.includes('x'));
  }, 'an ending in both logs');
});
