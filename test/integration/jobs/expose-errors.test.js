/** Errors thrown by a user's provider, as clients and the log see them. */
import { ProviderError } from '../../../lib/index.js';
import { start, stopAll } from '../../support/gateway/gateway.js';

afterEach(stopAll);

const MASKED = "The provider failed; the server's log has the reason.";
const SECRET = 'password swordfish at /srv/app/model.js';

function plain() {
  return Object.assign(new Error(SECRET, { cause: new Error('the inner cause') }), { code: 'E_X' });
}

/** A gateway whose provider throws the result of `make`, and the error lines of its log. */
async function throwing(make, options) {
  const lines = [];
  const logger = { info() {}, warn() {}, error: (fields) => lines.push(fields) };
  const provider = async function* provider() {
    yield 'some';
    throw make();
  };
  return { ...(await start({ provider, logger, ...options })), lines };
}

async function failedJob({ submit, ended, read }, request) {
  const { body } = await submit({ prompt: 'a', ...request });
  const job = await ended(body.job_id);
  const stream = await read(body.stream_url);
  expect(stream.last()).toMatchObject({ type: 'job_error', data: { error: job.error } });
  expect(JSON.stringify([job, stream.raw])).not.toMatch(/inner cause|E_X/);
  return job;
}

test.each([
  ['alone', undefined],
  ['that shares its answer', { temperature: 0 }],
])('of a job %s a plain error is masked for clients and whole in the log', async (_, request) => {
  const server = await throwing(plain);
  const job = await failedJob(server, request);
  expect(job.error).toEqual({ code: 'provider_error', type: 'provider_error', message: MASKED });
  const [line] = server.lines;
  expect(line).toMatchObject({ job_id: job.job_id, status: 'failed' });
  expect(line.err).toBeInstanceOf(Error);
  expect(line.err.message).toBe(SECRET);
  expect(line.err.stack).toMatch(/swordfish[^]*expose-errors\.test\.js[^]*the inner cause/);
  expect(line.err.stack).toContain("code: 'E_X'");
});

test('with exposeErrors clients see its message', async () => {
  const server = await throwing(plain, { exposeErrors: true });
  const { error } = await failedJob(server);
  expect(error).toEqual({ code: 'provider_error', type: 'provider_error', message: SECRET });
});

test('the message of a ProviderError is always for clients', async () => {
  const cause = new Error('the inner cause');
  const server = await throwing(() => new ProviderError('upstream_error', 'Busy.', { cause }));
  const { error } = await failedJob(server);
  expect(error).toEqual({ code: 'upstream_error', type: 'upstream_error', message: 'Busy.' });
});

test('a node of a workflow is masked, too', async () => {
  const { post, read } = await throwing(plain);
  const { body } = await post('/v1/workflows', { nodes: [{ id: 'a', prompt: 'x' }] });
  const { raw, events } = await read(body.stream_url);
  expect(events.find(({ type }) => type === 'node_failed').data.error.message).toBe(MASKED);
  expect(raw).not.toMatch(/swordfish/);
});

test('exposeErrors takes a boolean', async () => {
  await expect(throwing(plain, { exposeErrors: 'yes' })).rejects.toThrow(/exposeErrors/);
});
