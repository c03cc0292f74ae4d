/**
 * The gateway under calls with random arguments: only documented errors, no lost promise, and it continues to work.
 */
import { createGateway } from '../../../lib/index.js';
import { randomRounds } from '../../support/random-calls.js';

const ROUNDS = 10;
const CALLS = 60;

/** Repeats the words of the prompt. A plain function serves every model. */
async function* echo({ prompt, messages }) {
  yield* (prompt ?? messages.at(-1).content ?? 'nothing').toString().split(/(?<= )/);
}

let gateway;
beforeAll(() => {
  const access = {
    prices: { '*': { prompt: 1, completion: 1 } },
    accounts: { '*': { overdraft: true } },
  };
  gateway = createGateway({ provider: echo, logger: false, access });
});
afterAll(() => gateway.close({ drainMs: 0 }));

/** Arguments of each public method. `id` is one that a method has returned, or anything. */
const METHODS = {
  submit: ({ request, any }) => [request(), any('idempotencyKey', 'principal', 'signal')],
  get: ({ id, any }) => [id(), any('principal')],
  list: ({ any }) => [any('limit', 'after', 'status', 'principal')],
  cancel: ({ id, any }) => [id(), any('principal')],
  delete: ({ id, any }) => [id(), any('principal')],
  submitWorkflow: ({ nodes, any }) => [nodes(), any('idempotencyKey', 'principal')],
  workflow: ({ id, any }) => [id(), any('principal')],
  ready: () => [],
  reload: ({ any }) => [any('access', 'corsOrigins')],
  'conversations.create': ({ any }) => [
    any('title', 'metadata', 'ttl_s', 'messages'),
    any('principal'),
  ],
  'conversations.get': ({ id, any }) => [id(), any('principal')],
  'conversations.list': ({ any }) => [any('limit', 'after', 'principal')],
  'conversations.fork': ({ id, any }) => [id(), any('at', 'title', 'ttl_s'), any('principal')],
  'conversations.delete': ({ id, any }) => [id(), any('principal')],
  'workflows.list': ({ any }) => [any('limit', 'after', 'principal', 'status')],
  'workflows.cancel': ({ id, any }) => [id(), any('principal')],
  'workflows.retry': ({ id, any }) => [id(), any('principal', 'idempotencyKey')],
  'credits.account': ({ id, any }) => [id(), any('principal')],
  'credits.events': ({ id, any }) => [id(), any('limit', 'after')],
  'credits.transfer': ({ any }) => [any('key', 'from', 'to', 'amount', 'metadata')],
  'credits.linked': ({ any }) => [any('key', 'transfers')],
  'credits.closeAccount': ({ any }) => [any('key', 'account', 'metadata')],
  'credits.reverse': ({ any }) => [any('key', 'event', 'force')],
  'credits.usage': ({ any }) => [any('principal', 'fromMs', 'toMs', 'groupBy')],
  'webhooks.listFailed': ({ any }) => [any('limit', 'after')],
  'webhooks.replay': ({ id }) => [id()],
  'audit.list': ({ any }) => [any('limit', 'after', 'action')],
  'audit.record': ({ any }) => [any('actor', 'action', 'target')],
  'crawls.submit': ({ any }) => [any('start', 'max_pages', 'webhook_url'), any('principal')],
  'crawls.get': ({ id, any }) => [id(), any('principal')],
  'crawls.list': ({ any }) => [any('limit', 'after', 'principal')],
};

/** @param {string} path of a method */
function methodOf(path) {
  const [name, own] = path.split('.');
  const target = own === undefined ? gateway : gateway[name];
  return (...args) => target[own ?? name](...args);
}

test('calls of any kind are refused by name, or done', async () => {
  const ids = [];
  await randomRounds(async (choose, calls) => {
    const given = {
      id: () => choose.oneOf([...ids.slice(-5), choose.anything()]),
      any: (...names) => choose.oneOf([undefined, choose.anything(names)]),
      request: () =>
        choose.oneOf([
          { prompt: 'a b c' },
          { prompt: 'a b c', stop: choose.anything(), temperature: choose.anything() },
          { messages: [{ role: 'user', content: choose.anything() }], tools: choose.anything() },
          choose.anything(['prompt', 'messages', 'model', 'max_tokens', 'cache', 'metadata']),
        ]),
      nodes: () =>
        choose.oneOf([
          { nodes: [{ id: 'a', prompt: 'x', retry: choose.anything(['attempts', 'base_ms']) }] },
          { nodes: [choose.anything(['id', 'prompt', 'after', 'map'])], input: choose.anything() },
          choose.anything(['nodes', 'input', 'metadata']),
        ]),
    };
    for (let i = 0; i < CALLS; i += 1) {
      const name = choose.oneOf(Object.keys(METHODS));
      const result = calls.make(name, () => methodOf(name)(...METHODS[name](given)));
      if (/submit|create/.test(name)) {
        Promise.resolve(result).then(
          (made) => made?.id && ids.push(made.id),
          () => {},
        );
      }
      if (i % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
      const stream = calls.make('stream', () =>
        gateway.stream(given.id(), given.any('lastEventId', 'signal', 'principal')),
      );
      if (stream === undefined) continue;
      calls.make('next', () => stream.next());
      calls.make('return', () => stream.return());
    }
  }, ROUNDS);
  expect(ids.length).toBeGreaterThan(0);
  const { id } = await gateway.submit({ prompt: 'still here' });
  const events = [];
  for await (const event of gateway.stream(id)) events.push(event);
  expect(events.map(({ data }) => data.token ?? '').join('')).toBe('still here');
  expect(events.at(-1).type).toBe('job_complete');
});
