/** Random histories of conversations, against a plain model. */
import fc from 'fast-check';
import { ManualClock, createGateway } from '../../../lib/index.js';
import { startRedis } from '../../support/cluster/redis.js';
import { cleanUp, stopAll } from '../../support/gateway/gateway.js';
import { until } from '../../support/until.js';

afterEach(stopAll);

const plain = (messages) => messages.map(({ role, content }) => ({ role, content }));

/** A prompt contains the behaviour of its answer. */
async function* obedient({ messages }, { signal }) {
  const { say, ending } = JSON.parse(messages.at(-1).content);
  yield say;
  if (ending === 'fails') throw new Error('as it was told');
  if (ending === 'cancelled') {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }
}

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const index = fc.nat({ max: 5 });
/** Times to live; with real time, none that ends within the test. */
const secondsOf = (inTime) =>
  fc.option(inTime ? fc.integer({ min: 1, max: 40 }) : fc.constant(3600), { nil: undefined });
const turn = fc.record({ say: text, ending: fc.constantFrom('completed', 'fails', 'cancelled') });
/** @param {boolean} inTime whether time may be moved */
const operationsOf = (inTime) =>
  fc.oneof(
    fc.record({
      op: fc.constant('create'),
      title: text,
      ttl: secondsOf(inTime),
      messages: fc.array(text, { maxLength: 3 }),
    }),
    fc.record({ op: fc.constant('turn'), which: index, turn }),
    fc.record({
      op: fc.constant('turns'),
      which: index,
      turns: fc.array(turn, { minLength: 2, maxLength: 4 }),
    }),
    fc.record({
      op: fc.constant('fork'),
      which: index,
      at: fc.option(fc.nat({ max: 6 })),
      ttl: secondsOf(inTime),
    }),
    fc.record({ op: fc.constant('delete'), which: index }),
    ...(inTime
      ? [fc.record({ op: fc.constant('wait'), seconds: fc.integer({ min: 1, max: 30 }) })]
      : []),
  );

/** The expected conversations of one principal. */
class Model {
  /** @type {{id: string, messages: object[], ttlMs?: number, changedMs: number}[]} */
  all = [];
  #nowMs;

  constructor(nowMs) {
    this.#nowMs = nowMs;
  }

  alive() {
    const nowMs = this.#nowMs();
    this.all = this.all.filter(
      ({ ttlMs, renewedMs }) => ttlMs === undefined || nowMs <= renewedMs + ttlMs,
    );
    return this.all;
  }

  /** One of the existing conversations; undefined without any. */
  at(which) {
    const alive = this.alive();
    return alive[which % Math.max(1, alive.length)];
  }

  add(id, messages, ttl) {
    const ttlMs = ttl === undefined ? undefined : ttl * 1000;
    this.all.push({ id, messages, ttlMs, renewedMs: this.#nowMs() });
  }

  turn(conversation, prompt, { say, ending }) {
    conversation.renewedMs = this.#nowMs();
    // An empty answer is no turn: servers refuse a history with an empty assistant message.
    if (ending === 'fails' || say === '') return;
    conversation.messages = [
      ...conversation.messages,
      { role: 'user', content: prompt },
      { role: 'assistant', content: say },
    ];
  }
}

/** One gateway in memory, with a manual clock; or two on one Redis, in alternation. */
const places = {
  memory: async (provider, clock) => [createGateway({ provider, clock, ...common })],
  Redis: async (provider) => {
    const server = await startRedis();
    cleanUp(() => server.stop());
    const one = () => createGateway({ provider, redis: server.url, ...common });
    const gateways = [one(), one()];
    await Promise.all(gateways.map((gateway) => gateway.listen()));
    return gateways;
  },
};
const common = { logger: false, maxConcurrency: 50 };

test.each([
  ['memory', 60],
  ['Redis', 10],
])('they always equal their model, in %s', async (place, numRuns) => {
  const clock = new ManualClock();
  const sent = [];
  async function* provider(request, options) {
    sent.push(request.messages);
    yield* obedient(request, options);
  }
  const gateways = await places[place](provider, clock);
  for (const gateway of gateways) cleanUp(() => gateway.close({ drainMs: 0 }));
  const operation = operationsOf(place === 'memory');
  let steps = 0;
  /** The current gateway. */
  const current = () => gateways[steps % gateways.length];

  /** Submits a turn and sees to its end: the prompt. */
  async function run(id, each, principal, more = {}) {
    const prompt = JSON.stringify(each);
    const gateway = current();
    const job = await gateway.submit({ conversation_id: id, prompt, ...more }, { principal });
    if (each.ending === 'cancelled') {
      await until(async () => {
        const { status, text: so } = await gateway.get(job.id, { principal });
        return status === 'running' && so === each.say;
      });
      await gateway.cancel(job.id, { principal });
    }
    for await (const _ of gateway.stream(job.id, { principal }));
    return prompt;
  }

  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 14 }), async (operations) => {
      const principal = `run-${runs++}`;
      const caller = { principal };
      const model = new Model(() => clock.nowMs());
      for (const { op, ...step } of operations) {
        const chosen = model.at(step.which ?? 0);
        steps += 1;
        const { conversations } = current();
        if (op === 'create') {
          const messages = step.messages.map((content) => ({ role: 'user', content }));
          const ttl_s = step.ttl;
          const { id } = await conversations.create({ title: step.title, ttl_s, messages }, caller);
          model.add(id, messages, step.ttl);
        } else if (op === 'wait') {
          clock.advanceMs(step.seconds * 1000);
        } else if (chosen === undefined) {
          continue;
        } else if (op === 'turn') {
          sent.length = 0;
          const before = chosen.messages;
          const prompt = await run(chosen.id, step.turn, principal);
          expect(sent).toEqual([[...before, { role: 'user', content: prompt }]]);
          model.turn(chosen, prompt, step.turn);
        } else if (op === 'turns') {
          const queue = { on_busy: 'queue' };
          const prompts = await Promise.all(
            step.turns.map((each) => run(chosen.id, each, principal, queue)),
          );
          // First come, first served.
          prompts.forEach((prompt, i) => model.turn(chosen, prompt, step.turns[i]));
        } else if (op === 'fork') {
          const ttl_s = step.ttl;
          const forking = conversations.fork(
            chosen.id,
            { at: step.at ?? undefined, ttl_s },
            caller,
          );
          if (step.at !== null && step.at > chosen.messages.length) {
            await expect(forking).rejects.toMatchObject({ code: 'ERR_INVALID_VALUE', param: 'at' });
          } else {
            const ttl = step.ttl ?? (chosen.ttlMs && chosen.ttlMs / 1000);
            const at = step.at ?? chosen.messages.length;
            model.add((await forking).id, chosen.messages.slice(0, at), ttl);
          }
        } else {
          await conversations.delete(chosen.id, caller);
          model.all = model.all.filter((each) => each !== chosen);
          expect(await conversations.get(chosen.id, caller)).toBeUndefined();
        }
        steps += 1;
        for (const { id, messages } of model.alive()) {
          const found = await current().conversations.get(id, caller);
          expect(plain(found.messages)).toEqual(messages);
          expect(found.messageCount).toBe(messages.length);
          expect(found.busyJobId).toBeUndefined();
        }
        const { data } = await current().conversations.list({ ...caller, limit: 100 });
        expect(data.map(({ id }) => id).sort()).toEqual(
          model
            .alive()
            .map(({ id }) => id)
            .sort(),
        );
      }
    }),
    { numRuns },
  );
});
