/** Which upstream serves a model, and under which name. */
import { ModelTable } from '../../../../lib/providers/route/model-table.js';

const found = (table, model) =>
  table.find(model).map(({ upstream, model: mapped }) => `${upstream}:${mapped}`);

const table = new ModelTable([
  { upstream: 'all' },
  { upstream: 'short', models: ['gpt-*'] },
  { upstream: 'long', models: ['gpt-5-*', '*-mini'] },
  { upstream: 'alias', models: { 'gpt-5-mini': 'their-mini', fast: 'llama', 'own/*': 'one' } },
  { upstream: 'exact', models: ['gpt-5-mini', 'a.b'] },
  { upstream: 'also', models: ['gpt-5-mini'] },
]);

test.each([
  [
    'gpt-5-mini',
    ['exact:gpt-5-mini', 'also:gpt-5-mini', 'alias:their-mini', 'long:gpt-5-mini'],
    ['short:gpt-5-mini', 'all:gpt-5-mini'],
  ],
  ['gpt-5-x', ['long:gpt-5-x', 'short:gpt-5-x', 'all:gpt-5-x']],
  ['gpt-4', ['short:gpt-4', 'all:gpt-4']],
  ['fast', ['alias:llama', 'all:fast']],
  ['own/a/b', ['alias:one', 'all:own/a/b']],
  ['a.b', ['exact:a.b', 'all:a.b']],
  ['axb', ['all:axb']],
  ['', ['all:']],
])('%s', (model, first, then = []) => {
  expect(found(table, model)).toEqual([...first, ...then]);
});

test('names are the exact names and the aliases, in order', () => {
  expect(table.names).toEqual(['gpt-5-mini', 'fast', 'a.b']);
});

test('a model without an upstream', () => {
  const own = new ModelTable([{ upstream: 'x', models: ['a', 'b-*'] }]);
  expect(['a', 'b-', 'b-1', 'b', 'c', 'A', 'xb-1'].map((model) => own.serves(model))).toEqual([
    ...[true, true, true],
    ...[false, false, false, false],
  ]);
  expect(own.find('c')).toEqual([]);
});
