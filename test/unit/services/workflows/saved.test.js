/** The state of a workflow as other processes have it: the same answers from it as from its own process. */
import { NodeState } from '../../../../lib/services/workflows/node-state.js';
import { WorkflowState } from '../../../../lib/services/workflows/state.js';
import { nodeView, outputsOfPage, pageOfNodes } from '../../../../lib/services/workflows/page.js';

const MIB = 1024 * 1024;
const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
const request = (count) => ({
  nodes: Array.from({ length: count }, (_, i) => ({ id: `n${i}`, prompt: 'p' })),
});

/** Completes a node with a text of so many characters; of a map with items as well. */
function complete(state, id, chars, { items = 0, unit = 'x' } = {}) {
  const node = state.node(id);
  node.startedAtMs = 1000;
  node.attempts = 1;
  const text = unit.repeat(chars);
  const each = items === 0 ? undefined : Array.from({ length: items }, () => text);
  node.output = { text: each?.join('\n\n') ?? text, items: each, usage };
  node.keptChars = (each === undefined ? 1 : 2 * items) * chars;
  node.end('completed', 2000);
  state.touch(node, { output: true });
}

/** The view of another process after the changes of a state, with the outputs that `load` chooses. */
function elsewhere(state, body, load) {
  const changes = state.takeChanges();
  const saved = Object.fromEntries(changes.map(([id, json]) => [id, json]));
  const outputs = new Map(changes.map(([id, , output]) => [id, output]));
  const other = new WorkflowState(body, saved);
  for (const node of load(other.nodes)) node.load(outputs.get(node.id));
  return other;
}

test.each([
  ['small ones', [[10], [20, { items: 3 }], [0]]],
  ['one that fills the page, and small ones after it', [[4 * MIB - 300], [10], [20]]],
  ['one that is too large', [[10], [5 * MIB], [20]]],
  ['several that fill it', [[1.5 * MIB], [1.5 * MIB], [1.5 * MIB], [100], [0.9 * MIB], [5]]],
  ['maps, whose characters are kept twice', [[MIB, { items: 1 }], [MIB, { items: 1 }], [MIB / 2]]],
  ['characters of three bytes', [[MIB, { unit: '語' }], [MIB, { unit: '語' }], [10]]],
])('a page of nodes is the same: %s', (_name, sizes) => {
  const body = request(sizes.length + 1);
  const state = new WorkflowState(body);
  sizes.forEach(([chars, more], i) => complete(state, `n${i}`, Math.floor(chars), more));
  for (const query of [{}, { limit: 2 }, { after: 'n0' }]) {
    const expected = pageOfNodes(state.nodes, query);
    state.touchAll();
    const other = elsewhere(state, body, (nodes) => outputsOfPage(nodes, query));
    expect(JSON.stringify(pageOfNodes(other.nodes, query))).toBe(JSON.stringify(expected));
    expect([other.counts(), other.usage()]).toEqual([state.counts(), state.usage()]);
  }
});

test('at most a page is loaded', () => {
  const body = request(20);
  const state = new WorkflowState(body);
  for (const { id } of state.nodes) complete(state, id, MIB);
  const other = elsewhere(state, body, () => []);
  expect(outputsOfPage(other.nodes).length).toBeLessThanOrEqual(8);
  expect(outputsOfPage(state.nodes)).toEqual([]);
});

test('a node without its output has its other fields', () => {
  const body = request(1);
  const state = new WorkflowState(body);
  complete(state, 'n0', 10);
  const [node] = elsewhere(state, body, () => []).nodes;
  expect([node.isUnloaded, node.isGiven]).toEqual([true, true]);
  expect(nodeView(node)).toMatchObject({ status: 'completed', usage, text_omitted: true });
  node.reset();
  expect([node.isUnloaded, node.isGiven, node.hasBegun]).toEqual([false, false, false]);
  expect(nodeView(node)).toEqual(nodeView(new NodeState(body.nodes[0])));
});

test('changes are reported once, and again when they were not written', () => {
  const state = new WorkflowState(request(3));
  expect(state.takeChanges()).toEqual([]);
  complete(state, 'n0', 1);
  state.touch(state.node('n1'));
  const changes = state.takeChanges();
  expect(changes).toEqual([
    ['n0', expect.stringContaining('"completed"'), '{"text":"x"}'],
    // It has not started.
    ['n1', '', ''],
  ]);
  expect(state.takeChanges()).toEqual([]);
  state.node('n0').error = { code: 'e' };
  state.touch(state.node('n0'));
  state.giveBack(changes);
  expect(state.takeChanges().map(([id, json, output]) => [id, /"e"/.test(json), output])).toEqual([
    ['n0', true, '{"text":"x"}'],
    ['n1', false, ''],
  ]);
  state.node('n0').reset();
  state.touch(state.node('n0'), { output: true });
  expect(state.takeChanges()).toEqual([['n0', '', '-']]);
  complete(state, 'n2', 1);
  state.takeChanges();
  state.touchAll();
  expect(state.takeChanges().map(([id, , output]) => [id, output])).toEqual([
    ['n2', '{"text":"x"}'],
  ]);
});
