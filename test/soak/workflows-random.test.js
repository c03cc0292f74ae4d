/** Random workflows with a failing provider: each ends, each node once, and no state remains. */
import { start, stopAll } from '../support/gateway/gateway.js';
import { until } from '../support/until.js';
import { partsOf } from '../support/gateway/parts.js';

afterEach(stopAll);

/** Numbers in [0, 1) that are the same each time (mulberry32). */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const ENDINGS = { node_complete: 'completed', node_failed: 'failed', node_skipped: 'skipped' };

/** Prompts contain the number of their failures, and of the words before them. */
function randomWorkflow(random) {
  const below = (bound) => Math.floor(random() * bound);
  const nodes = Array.from({ length: 1 + below(15) }, (_, i) => {
    const after = Array.from({ length: i }, (_none, j) => `n${j}`).filter(() => random() < 0.25);
    const fails = random() < 0.3 ? 1 + below(3) : 0;
    const prompt = `${fails} ${below(4)} n${i}`;
    return {
      id: `n${i}`,
      after,
      ...(after.length > 0 && random() < 0.2
        ? { map: { over: after[0], prompt: `${prompt} {{item}}` } }
        : { prompt: `${prompt} ${after.map((id) => `{{${id}.text}}`).join(' ')}` }),
      ...(random() < 0.5 && { retry: { attempts: 1 + below(3), base_ms: 1, cap_ms: 3 } }),
      ...(random() < 0.3 && { on_failure: 'continue' }),
    };
  });
  // In any order: dependencies may follow.
  nodes.sort(() => random() - 0.5);
  return { nodes, concurrency: 1 + below(6) };
}

/** Checks the rules of a stream: each node's one ending, and the events before it. */
function check(workflow, events) {
  const endings = new Map();
  const running = new Set();
  const byId = new Map(workflow.nodes.map((node) => [node.id, node]));
  for (const { type, data } of events.slice(0, -1)) {
    const { node: id } = data;
    expect(endings.has(id)).toBe(false);
    if (type === 'node_started') {
      expect(running.has(id)).toBe(false);
      running.add(id);
      expect(running.size).toBeLessThanOrEqual(workflow.concurrency);
      for (const dependency of byId.get(id).after) {
        const ended = endings.get(dependency);
        const continued = byId.get(dependency).on_failure === 'continue';
        expect(ended === 'completed' || (ended === 'failed' && continued)).toBe(true);
      }
    } else if (type === 'token' || type === 'node_progress') {
      expect(running.has(id)).toBe(true);
    } else {
      if (type in ENDINGS) endings.set(id, ENDINGS[type]);
      expect(running.delete(id)).toBe(type !== 'node_skipped');
    }
  }
  expect([...endings.keys()].sort()).toEqual([...byId.keys()].sort());
  expect(running.size).toBe(0);
  const failed = [...endings].filter(
    ([id, ending]) => ending === 'failed' && byId.get(id).on_failure !== 'continue',
  );
  expect(events.at(-1).type).toBe(failed.length > 0 ? 'workflow_failed' : 'workflow_complete');
  return endings;
}

test.each([
  ['auto', 1],
  ['auto', 3],
])('egress %s, %i reactors', async (egress, reactors) => {
  const calls = new Map();
  const { gateway, post, read, get } = await start({
    egress,
    reactors,
    maxConcurrency: 20,
    provider: async function* provider({ prompt }, { signal }) {
      const [fails, words] = prompt.split(' ').map(Number);
      const call = (calls.get(prompt) ?? 0) + 1;
      calls.set(prompt, call);
      for (let i = 0; i < words; i++) {
        yield `word${i}\n`;
        await new Promise((resolve) => setImmediate(resolve));
        signal.throwIfAborted();
      }
      if (call <= fails) throw new Error('bad luck');
    },
  });
  const runs = Array.from({ length: 60 }, async (_, i) => {
    const workflow = randomWorkflow(numbers(i + 1));
    // Runs do not share luck.
    for (const node of workflow.nodes) {
      if (node.prompt !== undefined) node.prompt += ` run ${i}`;
      else node.map.prompt += ` run ${i}`;
    }
    const { body } = await post('/v1/workflows', workflow);
    const { events } = await read(body.stream_url);
    const endings = check(workflow, events);
    const view = (await get(`/v1/workflows/${body.workflow_id}`)).body;
    expect(new Map(view.nodes.map(({ id, status }) => [id, status]))).toEqual(
      new Map(workflow.nodes.map(({ id }) => [id, endings.get(id)])),
    );
  });
  await Promise.all(runs);
  const { jobs } = partsOf(gateway).lifecycle;
  await until(() => jobs.size === 0, 'the last job to be forgotten');
});
