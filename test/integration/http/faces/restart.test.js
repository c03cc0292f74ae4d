/** Chat completions over a restart: the same bytes, also of several answers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exported } from '../../../../lib/jobs/storage/export.js';
import { providers } from '../../../../lib/index.js';
import { start, stopAll } from '../../../support/gateway/gateway.js';
import { startMockUpstream } from '../../../support/upstream/mock-upstream.js';

let upstream;
let directory;
beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'sluice-restart-'));
  upstream = await startMockUpstream(async (exchange) => {
    const { n } = exchange.body;
    exchange.open();
    for (let index = 0; index < n; index += 1) {
      await exchange.event({ choices: [{ index, delta: { reasoning_content: 'hm' } }] });
      await exchange.delta(`text ${index}`, index);
      await exchange.finish('stop', index);
    }
    await exchange.usage(3, 4);
    await exchange.done();
    exchange.end();
  });
});
afterEach(async () => {
  await stopAll();
  await upstream.close();
  rmSync(directory, { recursive: true });
});

const data = () => path.join(directory, 'data.db');
const open = (more) =>
  start({ provider: providers.openai({ baseUrl: upstream.url }), data: data(), ...more });
const request = (n) => ({ model: 'm', n, messages: [{ role: 'user', content: 'Paris?' }] });

test.each([
  [1, 1],
  [3, 1],
  [3, 3],
])('%i answers, on %i reactors', async (n, reactors) => {
  const first = await open({ reactors });
  const whole = await first.post('/v1/chat/completions', request(n));
  expect(whole.body.choices.map(({ message }) => message.content)).toHaveLength(n);
  const at = `/v1/chat/completions/${whole.body.id}`;
  const streamed = await first.get(`${at}?stream=true`);
  await first.gateway.close();
  const second = await open({ reactors });
  expect((await second.get(at)).body).toEqual(whole.body);
  expect((await second.get(`${at}?stream=true`)).body).toBe(streamed.body);
  expect((await second.get('/v1/jobs')).body.data).toHaveLength(1);
});

test('a deleted job leaves no answer in the file', async () => {
  const served = await open();
  const { headers } = await served.post('/v1/chat/completions', request(3));
  const { status } = await served.call('DELETE', `/v1/jobs/${headers.get('x-sluice-job-id')}`);
  expect(status).toBe(204);
  await served.gateway.close();
  expect([...exported(data())].filter(({ type }) => type === 'job')).toEqual([]);
});

test('a job beyond its retention leaves no answer in the file', async () => {
  const served = await open({ retentionMs: 1 });
  await served.post('/v1/chat/completions', request(3));
  await served.gateway.close();
  const again = await open({ retentionMs: 1 });
  await again.gateway.close();
  expect([...exported(data())].filter(({ type }) => type === 'job')).toEqual([]);
});
