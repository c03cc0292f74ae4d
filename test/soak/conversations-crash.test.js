/**
 * Conversations and crashes: a server is killed at random moments under load, over and over with one
 * data file. Each turn that a client saw the end of is there once, in its place, and nothing else is.
 *
 * SLUICE_CRASH_ROUNDS is the number of rounds, SLUICE_CRASH_SEED the seed of the moments.
 */
import { dataFile } from '../support/files/data-file.js';
import { killAll } from '../support/crash/cli.js';
import { crashRounds, rounds, seed } from '../support/crash/rounds.js';
import { openStream } from '../support/sse/sse-client.js';
import { randomFrom } from '../support/random.js';
import { stopAll } from '../support/gateway/gateway.js';
import { until } from '../support/until.js';

const CLIENTS = 8;
/** Clients that share the last conversation, and queue for it. */
const SHARING = 4;

afterEach(async () => {
  killAll();
  await stopAll();
});

/** One turn as its client saw it: its key, and its ending if the client got it. */
function turnOf(name) {
  return { name, ending: undefined, text: '' };
}

/** Whether a turn that has ended is in its conversation. */
const isKept = ({ ending, text }) =>
  ending === 'job_complete' || (ending === 'job_cancelled' && text !== '');

/** One client's turns, one after the other, until the server is gone. */
async function talk(server, mine, { random, stopped }) {
  while (!stopped()) {
    const turn = turnOf(`${mine.name}-${mine.turns.length}`);
    mine.turns.push(turn);
    try {
      const body = {
        prompt: turn.name,
        conversation_id: mine.id,
        max_tokens: 1 + Math.floor(random() * 20),
        on_busy: 'queue',
        on_disconnect: 'continue',
      };
      const answer = await server.submit(body, { 'idempotency-key': turn.name });
      // Another one of this conversation may take long.
      if (answer.status === 409) continue;
      if (answer.status !== 201) throw new Error(`answered ${JSON.stringify(answer.body)}`);
      const stream = openStream(server.url + answer.body.stream_url);
      if (random() < 0.1) void server.cancel(answer.body.job_id).catch(() => {});
      await stream.done;
      turn.text = stream.text;
      turn.ending = stream.last().type;
      if (random() < 0.3 && isKept(turn)) {
        expect(await turnsIn(server, mine.id)).toContain(turn.name);
      }
    } catch (error) {
      if (!stopped()) throw error;
      return;
    }
  }
}

/** The prompts of a conversation, in order. */
async function turnsIn(server, id) {
  const { messages } = (await server.get(`/v1/conversations/${id}`)).body;
  return messages.filter(({ role }) => role === 'user').map(({ content }) => content);
}

/** Checks that the next server has everything that these clients got. */
async function check(server, id, clients) {
  const { status, body } = await server.get(`/v1/conversations/${id}`);
  expect(status).toBe(200);
  const { messages, busy_job_id: busy } = body;
  expect(busy).toBeUndefined();
  expect(messages.map(({ role }) => role)).toEqual(
    messages.map((_, i) => (i % 2 === 0 ? 'user' : 'assistant')),
  );
  const kept = messages.filter((_, i) => i % 2 === 0).map(({ content }) => content);
  expect(new Set(kept).size).toBe(kept.length);
  const turns = new Map(clients.flatMap((each) => each.turns.map((turn) => [turn.name, turn])));
  for (const [i, name] of kept.entries()) {
    const turn = turns.get(name);
    const [question, reply] = messages.slice(2 * i, 2 * i + 2);
    expect(reply.job_id).toBe(question.job_id);
    if (turn.ending !== undefined) expect(reply.content).toBe(turn.text);
  }
  for (const each of clients) {
    // In the order in which they were sent.
    const own = each.turns.map(({ name }) => name).filter((name) => kept.includes(name));
    expect(kept.filter((name) => own.includes(name))).toEqual(own);
    for (const turn of each.turns) {
      if (isKept(turn)) expect(kept).toContain(turn.name);
      else if (turn.ending !== undefined) expect(kept).not.toContain(turn.name);
    }
  }
  return kept.length;
}

test(`${rounds} crashes lose no turn and double none`, async () => {
  const random = randomFrom(seed);
  const options = ['--data', dataFile(), '--token-interval-ms', '3', '--idle-flush-ms', '1'];
  const room = ['--max-concurrency', '50'];
  const names = Array.from({ length: CLIENTS }, (_, i) => `c${i}`);
  /** @type {{name: string, id: string, turns: ReturnType<typeof turnOf>[]}[]} */
  const clients = names.map((name) => ({ name, id: '', turns: [] }));
  const ended = () => clients.reduce((sum, { turns }) => sum + turns.filter(isKept).length, 0);
  let kept = 0;
  await crashRounds({
    random,
    args: () => [...options, ...room],
    async check(server, round) {
      if (round === 0) {
        for (const [i, mine] of clients.entries()) {
          const own = i < CLIENTS - SHARING || i === CLIENTS - 1;
          if (own) mine.id = (await server.post('/v1/conversations', {})).body.conversation_id;
        }
        for (const mine of clients) mine.id ||= clients.at(-1).id;
      }
      kept = 0;
      for (const id of new Set(clients.map((mine) => mine.id))) {
        const sharing = clients.filter((mine) => mine.id === id);
        kept += await check(server, id, sharing);
      }
    },
    load(server, stopped) {
      const endedBefore = ended();
      return {
        clients: Promise.all(clients.map((mine) => talk(server, mine, { random, stopped }))),
        // Some turns end in each round, however slow the machine is.
        enough: () => until(() => ended() > endedBefore + 1, 'turns to end'),
      };
    },
  });
  console.info(`seed ${seed}: ${kept} turns kept`);
  expect(kept).toBeGreaterThan(rounds);
}, 3_600_000);
