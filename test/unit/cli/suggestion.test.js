import { suggestion } from '../../../lib/cli/suggestion.js';

const flags = [
  'port',
  'host',
  'open',
  'model',
  'mode',
  'max-batch-size',
  'max-concurrency',
  'data',
];

test.each([
  ['prot', 'port'],
  ['ports', 'port'],
  ['maxBatchSize', 'max-batch-size'],
  ['max_batch_size', 'max-batch-size'],
  ['max-batchsize', 'max-batch-size'],
  ['max-batch', 'max-batch-size'],
  ['max-concurency', 'max-concurrency'],
  ['modell', 'model'],
  ['max', undefined],
  ['verbose', undefined],
  ['x', undefined],
  ['', undefined],
])('%s: %s', (name, meant) => {
  expect(suggestion(name, flags)).toBe(meant);
});
