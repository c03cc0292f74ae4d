/** Jobs of a route with its own format: their logs are whole, and their first entry is announced. */
import { handProvider } from '../../support/providers/providers.js';
import { partsOf } from '../../support/gateway/parts.js';
import { start, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

const MIB = 2 ** 20;
const question = { messages: [{ role: 'user', content: 'hi' }], temperature: 0 };

/** A gateway whose logs hold 1 MiB, and a way to submit jobs with a face. */
async function startSmall(provider) {
  const server = await start({ provider, logBytesMax: MIB });
  const { admission, access, hub } = partsOf(server.gateway);
  const begun = [];
  hub.events.on('begun', (handle) => begun.push(handle));
  const submitFaced = async (request = question) => {
    const own = { request, access: access.of('anonymous'), face: { id: 'f' } };
    return (await admission.submitInterpreted(own)).record;
  };
  return { ...server, hub, begun, submitFaced };
}

/** Text in pieces of 64 KiB. */
const pieces = (mib) => Array.from({ length: 16 * mib }, () => 'x'.repeat(MIB / 16));

test('a log is whole beyond the usual cap, with and without a shared answer', async () => {
  async function* provider() {
    yield* pieces(3);
  }
  const { submitFaced, submit, ended, job } = await startSmall(provider);
  const alone = await submitFaced({ ...question, temperature: 1 });
  const first = await submitFaced();
  await ended(first.id);
  const second = await submitFaced();
  expect([alone.cache, first.cache, second.cache]).toEqual([undefined, 'miss', 'hit']);
  for (const { id } of [alone, first, second]) {
    await ended(id);
    const { text, text_truncated: isCut } = await job(id);
    expect([text.length, isCut]).toEqual([3 * MIB, undefined]);
  }
  const { body } = await submit({ prompt: 'other' });
  expect(await ended(body.job_id)).toMatchObject({ text_truncated: true });
});

test('a job that joins the answer of a job without a face has all of it, too', async () => {
  const { provider, call } = handProvider();
  const { submitFaced, submit, ended, job } = await startSmall(provider);
  const { body } = await submit(question);
  const made = await call(0);
  made.push(...pieces(1).slice(0, 8));
  const joined = await submitFaced();
  expect(joined.cache).toBe('join');
  made.push(...pieces(2));
  made.end();
  await ended(joined.id);
  expect((await job(joined.id)).text).toHaveLength(2.5 * MIB);
  expect(await ended(body.job_id)).toMatchObject({ text_truncated: true });
});

test('the first entry is announced once per job, of a shared answer, too', async () => {
  const { provider, call } = handProvider();
  const { submitFaced, submit, ended, begun } = await startSmall(provider);
  const first = await submitFaced();
  const joined = await submitFaced();
  const { body } = await submit({ prompt: 'no face' });
  const [made, other] = [await call(0), await call(1)];
  expect(begun).toEqual([]);
  made.push({ reasoning: 'hm' }, 'a');
  other.push('b');
  await until(() => begun.length >= 2, 'both to begin');
  for (const { end } of [made, other]) end();
  await ended(body.job_id);
  await ended(joined.id);
  const replayed = await submitFaced();
  await ended(replayed.id);
  expect(replayed.cache).toBe('hit');
  const handles = [first, joined, replayed].map(({ handle }) => handle);
  expect([...begun].sort()).toEqual(handles.sort());
});
