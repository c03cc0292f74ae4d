/** Credit of the jobs of a killed process: their holds are settled by the process that ends them. */
import { file } from '../../support/crash/cli.js';
import { deploy, removeFiles, stopDeployments } from '../../support/cluster/deployment.js';
import { until } from '../../support/until.js';

afterEach(stopDeployments);
afterAll(removeFiles);

test('the new owner pays for lost and repeated jobs, once, and no hold remains', async () => {
  const access = {
    prices: { '*': { prompt: 0, completion: 10 } },
    accounts: { anonymous: { overdraft: 1000 } },
  };
  const config = await file('credit.json', JSON.stringify(access));
  const deployment = await deploy({ flags: ['--config', config, '--max-concurrency', '2'] });
  const [a, b] = deployment.nodes;
  const calls = ({ plan }) => deployment.upstream.calls(plan.name);
  const balance = async () => {
    const { body } = await b.get('/v1/accounts/anonymous');
    return [body.available, body.held];
  };
  const lost = await deployment.submit(a, { tokens: 8, stopAt: 3 }, { max_tokens: 20 });
  const silent = await deployment.submit(a, { tokens: 5, stopAt: 0 }, { max_tokens: 20 });
  await until(() => calls(lost).length + calls(silent).length === 2, 'both calls');
  const queued = await deployment.submit(a, { tokens: 4 }, { max_tokens: 20 });
  const tokens = deployment.read(lost.path, { first: 1 });
  await until(() => tokens.events.length === 3, 'three tokens elsewhere');
  expect(await balance()).toEqual([-600, 600]);
  await a.crash();
  deployment.upstream.go(silent.plan.name);
  const jobs = [lost, silent, queued];
  const states = await Promise.all(jobs.map(({ id }) => b.ended(id)));
  expect(states.map(({ status }) => status)).toEqual(['failed', 'completed', 'completed']);
  // By the tokens that each log holds: 3, 5 and 4.
  expect(await balance()).toEqual([-120, 0]);
  const { data } = (await b.get('/v1/accounts/anonymous/events')).body;
  for (const { id } of jobs) {
    const own = data.filter(({ job_id: job }) => job === id).map(({ type }) => type);
    expect(own).toEqual(['hold', 'settle']);
  }
  const { total } = (await b.get('/v1/usage')).body;
  expect(total).toMatchObject({ requests: 3, completion_tokens: 12, cost: 120 });
});
