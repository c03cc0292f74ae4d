/** Functions of the page of workflows without a document: positions, states, texts. */
import { NodeModel } from '../../../web/app/workflow/nodes.js';
import {
  connect,
  freeId,
  isWorkflow,
  labelsOf,
  removeNode,
  renameNode,
} from '../../../web/app/workflow/edit.js';
import { lastNode, layOut } from '../../../web/app/workflow/layout.js';

describe('layOut', () => {
  const places = (nodes) => Object.fromEntries(layOut(nodes).places);

  test('columns follow the longest path, short columns are centred', () => {
    const nodes = [
      { id: 'd', after: ['b', 'c', 'a'] },
      { id: 'a' },
      { id: 'b', after: ['a'] },
      { id: 'c', after: ['a'] },
    ];
    expect(places(nodes)).toEqual({
      a: { column: 0, row: 0.5 },
      b: { column: 1, row: 0 },
      c: { column: 1, row: 1 },
      d: { column: 2, row: 0.5 },
    });
    expect(layOut(nodes)).toMatchObject({ columns: 3, rows: 2 });
  });

  test('lines cross as little as possible: a node stands beside its dependencies', () => {
    const { x, y } = places([
      { id: 'top' },
      { id: 'bottom' },
      { id: 'y', after: ['bottom'] },
      { id: 'x', after: ['top'] },
    ]);
    expect([x.row, y.row]).toEqual([0, 1]);
  });

  test('a thousand nodes in a chain, and none', () => {
    const chain = Array.from({ length: 1000 }, (_, i) => ({
      id: `${i}`,
      after: i === 0 ? [] : [`${i - 1}`],
    }));
    expect(layOut(chain)).toMatchObject({ columns: 1000, rows: 1 });
    expect(layOut([])).toMatchObject({ columns: 0, rows: 0 });
  });
});

describe('NodeModel', () => {
  const play = (node, ...events) => {
    for (const [type, data] of events) node.apply(type, data);
    return { state: node.state, text: node.text, words: node.words, note: node.note };
  };
  const error = { code: 'c', message: 'm' };

  test('a retried prompt discards its text', () => {
    const node = new NodeModel({ id: 'a' });
    expect(play(node, ['node_started', { attempt: 1 }], ['token', { token: 'half' }])).toEqual({
      state: 'running',
      text: 'half',
      words: '1 token',
      note: '',
    });
    expect(play(node, ['node_retry', { attempt: 2, delay_ms: 1500, error }])).toEqual({
      state: 'retrying',
      text: '',
      words: 'retrying',
      note: 'c; attempt 2 in 1.50 s',
    });
    const end = play(
      node,
      ['node_started', { attempt: 2 }],
      ['token', { token: 'whole' }],
      ['node_complete', { text: 'whole' }],
    );
    expect(end).toEqual({ state: 'completed', text: 'whole', words: 'done, 1 token', note: '' });
  });

  test('items of a map arrive in any order, and only missing ones are discarded', () => {
    const node = new NodeModel({ id: 'm', type: 'map' });
    const state = play(
      node,
      ['node_started', { attempt: 1 }],
      ['token', { item: 2, token: 'two' }],
      ['token', { item: 0, token: 'nil' }],
      ['node_progress', { done: 1, total: 3 }],
    );
    expect(state).toMatchObject({ text: 'nil\n\ntwo', note: '1 of 3 items' });
    const retried = play(node, ['node_retry', { attempt: 2, delay_ms: 0, error, items: [1, 2] }]);
    expect(retried.text).toBe('nil');
  });

  test('running nodes are cancelled when the workflow ends, ended ones stay', () => {
    const [a, b] = [new NodeModel({ id: 'a' }), new NodeModel({ id: 'b' })];
    b.apply('node_skipped', { reason: 'x' });
    a.stop();
    b.stop();
    expect([a.state, b.state, b.note]).toEqual([
      'cancelled',
      'skipped',
      'skipped, because x failed',
    ]);
  });
});

describe('changes of the form', () => {
  const workflow = {
    concurrency: 2,
    nodes: [
      { id: 'a', prompt: 'x', max_tokens: 5 },
      { id: 'ab', prompt: '{{a.text}} {{ a }} {{ab}}', after: ['a'] },
      { id: 'c', map: { over: 'a', prompt: '{{a.text}}: {{item}}' }, after: ['a', 'ab'] },
    ],
  };

  test('a new name goes to dependencies, maps and placeholders, and only there', () => {
    expect(renameNode(workflow, 'a', 'z.1')).toEqual({
      concurrency: 2,
      nodes: [
        { id: 'z.1', prompt: 'x', max_tokens: 5 },
        { id: 'ab', prompt: '{{z.1.text}} {{ z.1 }} {{ab}}', after: ['z.1'] },
        { id: 'c', map: { over: 'z.1', prompt: '{{z.1.text}}: {{item}}' }, after: ['z.1', 'ab'] },
      ],
    });
    expect([renameNode(workflow, 'a', 'ab'), renameNode(workflow, 'a', '')]).toEqual([null, null]);
  });

  test('a removed node leaves the dependencies; a dependency is listed once', () => {
    expect(removeNode(workflow, 'a').nodes.map(({ after }) => after)).toEqual([[], ['ab']]);
    const twice = connect(connect(workflow, 'a', 'ab', true), 'c', 'ab', true);
    expect(twice.nodes[1].after).toEqual(['a', 'c']);
    expect(connect(twice, 'a', 'ab', false).nodes[1].after).toEqual(['c']);
  });

  test('labels, free names, the last node, and the fields of the form', () => {
    expect([...labelsOf(workflow).values()]).toEqual(['x', '‹a› ‹a› ‹ab›', '‹a›: ‹item›']);
    expect(freeId([{ id: 'node_2' }])).toBe('node_3');
    expect(lastNode(workflow.nodes)).toBe('c');
    expect(lastNode([])).toBeNull();
    const values = [
      workflow,
      { nodes: [] },
      { nodes: [{}] },
      { nodes: [{ id: 'a', after: 'b' }] },
      [],
    ];
    expect(values.map(isWorkflow)).toEqual([true, true, false, false, false]);
  });
});
