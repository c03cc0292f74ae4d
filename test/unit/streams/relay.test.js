import { JobHub } from '../../../lib/streams/hub.js';
import { hubOptions } from '../../support/streams/hub-options.js';
import { sharedReactor } from '../../../lib/internal/native/reactor.js';
import { streamEvents } from '../../../lib/streams/event-iterator.js';

/** @type {JobHub} */
let hub;
beforeAll(() => {
  hub = new JobHub({ ...hubOptions, reactors: [sharedReactor()] });
});
afterAll(() => hub.close());

/** @param {number} index @param {object} delta @param {string} [reason] */
function chunk(index, delta, reason) {
  const choice = { index, delta, ...(reason && { finish_reason: reason }) };
  return `data: ${JSON.stringify({ choices: [choice] })}\n\n`;
}

const FIRST_TEXTS = chunk(0, { content: 'a' }) + chunk(1, { content: 'b' });
const USAGE = 'data: {"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n';

/**
 * Feeds a call with two jobs, and reads all events of both.
 * @param {boolean} oneAnswer
 * @param {string[]} pieces of the body
 */
async function answer(oneAnswer, pieces) {
  const job = { onDisconnect: 'continue', disconnectGraceMs: 0, maxWallMs: 1e9 };
  const first = hub.create({ ...job, jobId: 'job_a', promptTokens: 100 });
  const second = hub.create({ ...job, jobId: 'job_b', promptTokens: 100, near: first });
  const read = async (/** @type {number} */ handle) => {
    const events = [];
    for await (const event of streamEvents(hub, { handle })) events.push(event);
    return events;
  };
  const reading = [read(first), read(second)];
  /** @type {string[]} */
  const order = [];
  const onEnded = (/** @type {number} */ handle) => {
    order.push(handle === first ? 'first' : 'second');
  };
  hub.events.on('ended', onEnded);
  const call = hub.relayFed({ idleMs: 1e6, jobs: [first, second], oneAnswer }, (fed) => {
    fed.head({ status: 200, contentType: 'text/event-stream' });
    for (const piece of pieces) fed.bytes(Buffer.from(piece));
    fed.end('whole');
  });
  const outcome =
    await /** @type {Promise<import('../../../lib/internal/native/relay-types.js').RelayOutcome | null>} */ (
      new Promise((resolve) => call.whenDone(resolve))
    );
  if (outcome?.failure !== 'none') {
    for (const handle of [first, second]) {
      hub.finish(handle, { type: 'cancelled', reason: 'client_request' });
    }
  }
  const events = await Promise.all(reading);
  hub.events.off('ended', onEnded);
  return { outcome, order, events };
}

test('the choices of one answer end together, and the first has the usage of the call', async () => {
  const pieces = [
    FIRST_TEXTS,
    chunk(0, {}, 'length'),
    chunk(1, { content: 'c' }, 'stop'),
    USAGE,
    'data: [DONE]\n\n',
  ];
  const { events, order } = await answer(true, pieces);
  const ends = events.map((each) => each.at(-1)?.data);
  expect(ends[0]).toMatchObject({
    reason: 'length',
    usage: { prompt_tokens: 7, completion_tokens: 3 },
  });
  expect(ends[1]).toMatchObject({
    reason: 'stop',
    usage: { prompt_tokens: 100, completion_tokens: 2, estimated: true },
  });
  expect(order).toEqual(['second', 'first']);
});

test('the choices of one answer fail together', async () => {
  const pieces = [FIRST_TEXTS, chunk(0, {}, 'stop')];
  expect((await answer(true, pieces)).outcome).toMatchObject({
    failure: 'incomplete',
    failed: [2, 2],
  });
  expect((await answer(false, pieces)).outcome).toMatchObject({
    failure: 'incomplete',
    failed: [null, 1],
  });
});
