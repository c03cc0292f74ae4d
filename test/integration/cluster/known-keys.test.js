/** A repeated request with a known idempotency key is answered with its job, even if a new one would be refused. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { newSecret } from '../../support/upstream/webhook-receiver.js';
import { partsOf } from '../../support/gateway/parts.js';
import { start } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';
import { useDeployments } from '../../support/cluster/gateways.js';

const { server: redis, own } = useDeployments();

const secret = newSecret();
const provider = {
  name: 'p',
  models: [{ id: 'm' }, { id: 'n' }],
  async *generate({ prompt }, { signal }) {
    if (prompt === 'wait') {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    }
    yield prompt;
  },
};
const accessTo = (...models) => ({ keys: [{ ...entry('ann', 'ann'), models }] });
const keyed = { ...bearer('ann'), 'idempotency-key': 'k' };

/** A gateway on the Redis of the test. */
async function open(options) {
  const node = await start({ provider, access: accessTo('m', 'n'), redis: { ...own }, ...options });
  await node.ready();
  return node;
}

/** Expects a request, made at `a`, to be answered with the same job at `b`, and a new one to be refused there. */
async function expectKnown(a, b, request, refusal) {
  const first = await a.submit(request, keyed);
  expect(first.status).toBe(201);
  await refusal.prepare?.(b);
  const again = await b.submit(request, keyed);
  expect([again.status, again.body.job_id]).toEqual([200, first.body.job_id]);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  const other = await b.submit({ ...request, metadata: { other: true } }, keyed);
  expect([other.status, other.body.error.code]).toEqual([422, 'idempotency_key_reused']);
  const fresh = await b.submit(request, { ...keyed, 'idempotency-key': 'new' });
  expect([fresh.status, fresh.body.error.code]).toEqual([refusal.status, refusal.code]);
}

const REFUSALS = {
  'a model that its key may not use any more': {
    ...{ status: 403, code: 'model_not_allowed' },
    prepare: ({ gateway }) => gateway.reload({ access: accessTo('n') }),
  },
  'a process that leaves': {
    ...{ status: 503, code: 'draining' },
    prepare: ({ gateway }) => partsOf(gateway).admission.close(),
  },
};

describe.each(Object.keys(REFUSALS))('%s', (name) => {
  test('in one process', async () => {
    const node = await start({ provider, access: accessTo('m', 'n') });
    await expectKnown(node, node, { prompt: 'x', model: 'm' }, REFUSALS[name]);
  });

  test('on Redis, at another process', async () => {
    const [a, b] = [await open(), await open()];
    await expectKnown(a, b, { prompt: 'x', model: 'm' }, REFUSALS[name]);
  });
});

test('a host that this process posts nothing to', async () => {
  const [a, b] = [
    await open({ webhookUrls: { allowedHosts: ['hooks.example.org'], secret } }),
    await open(),
  ];
  const request = { prompt: 'x', model: 'm', webhook_url: 'https://hooks.example.org/x' };
  const fresh = await b.submit(request, { ...keyed, 'idempotency-key': 'new' });
  const { status, body } = fresh;
  expect(status).toBeGreaterThanOrEqual(400);
  await expectKnown(a, b, request, { status, code: body.error.code });
});

test.each(['reject', 'queue'])('a turn of its own conversation under way: %s', async (mode) => {
  const [a, b] = [await open(), await open()];
  const talk = await a.post('/v1/conversations', {}, bearer('ann'));
  const request = { prompt: 'wait', model: 'm', on_busy: mode };
  request.conversation_id = talk.body.conversation_id;
  const first = await a.submit(request, keyed);
  expect(first.status).toBe(201);
  const again = await b.submit(request, keyed);
  expect([again.status, again.body.job_id]).toEqual([200, first.body.job_id]);
  await b.cancel(first.body.job_id, bearer('ann'));
});

test('a workflow with a model since withdrawn from its key, at another process', async () => {
  const [a, b] = [await open(), await open()];
  const request = { nodes: [{ id: 'x', prompt: 'x', model: 'm' }] };
  const first = await a.post('/v1/workflows', request, keyed);
  expect(first.status).toBe(201);
  await b.gateway.reload({ access: accessTo('n') });
  const again = await b.post('/v1/workflows', request, keyed);
  expect([again.status, again.body.workflow_id]).toEqual([200, first.body.workflow_id]);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  const fresh = await b.post('/v1/workflows', request, { ...keyed, 'idempotency-key': 'new' });
  expect([fresh.status, fresh.body.error.code]).toEqual([403, 'model_not_allowed']);
});

test('while Redis is away an invalid request is refused as usual, a valid one with 503', async () => {
  const node = await open({ redis: { ...own, commandTimeoutMs: 200 } });
  await node.gateway.reload({ access: accessTo('n') });
  redis.freeze();
  try {
    const wrong = { model: 'n', prompt: 'x', webhook_url: 'https://hooks.example.org/x' };
    for (const headers of [bearer('ann'), keyed]) {
      const { status, body } = await node.submit(wrong, headers);
      expect([status, body.error.param]).toEqual([400, 'webhook_url']);
    }
    // The key may have been used before its model was withdrawn.
    const gone = { prompt: 'x', model: 'm' };
    expect((await node.submit(gone, bearer('ann'))).status).toBe(403);
    const { status, body } = await node.submit(gone, keyed);
    expect([status, body.error.code]).toEqual([503, 'storage_unavailable']);
  } finally {
    redis.thaw();
  }
});

test('a client that disconnects during a request to Redis leaves no job', async () => {
  const node = await open();
  const { admission, access } = partsOf(node.gateway);
  const left = new AbortController();
  const made = admission.submit({ prompt: 'x' }, { access: access.of('ann'), signal: left.signal });
  left.abort();
  await expect(made).rejects.toMatchObject({ name: 'AbortError' });
  const keys = () => redis.keys(`{${own.prefix}}:job:*`);
  await until(async () => (await keys()).length === 0, 'the job to be taken back');
  expect((await node.get('/v1/jobs', { headers: bearer('ann') })).body.data).toEqual([]);
});
