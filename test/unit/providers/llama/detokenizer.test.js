import { Speller } from '../../../../lib/providers/llama/detokenizer.js';

/** A model whose tokens are bytes. */
const bytes = { detokenize: (tokens) => Buffer.from(tokens).toString('utf8') };

test('holds the bytes of a character until it is whole', () => {
  const speller = new Speller(bytes, []);
  const texts = [...Buffer.from('aé€😀')].map((byte) => speller.push(byte));
  expect(texts).toEqual(['a', '', 'é', '', '', '€', '', '', '', '😀']);
  expect(speller.flush()).toBe('');
});

test('bytes that never become a character are dropped, and hide nothing after them', () => {
  const speller = new Speller(bytes, []);
  const texts = [0x80, 0x80, 0x80, 0x80, 0x41, 0xe2, 0x42].map((byte) => speller.push(byte));
  expect(texts).toEqual(['', '', '', '\ufffd'.repeat(4), 'A', '', '\ufffdB']);
});

test('a text that ends inside a character is reported', () => {
  const speller = new Speller(bytes, []);
  expect(speller.push(0xe2)).toBe('');
  expect(speller.flush()).toBe('\ufffd');
  expect(speller.flush()).toBe('');
});

test('passes the preceding tokens to the model', () => {
  const seen = [];
  const model = { detokenize: (tokens, _special, before) => (seen.push([...before]), `${tokens}`) };
  const speller = new Speller(model, [1, 2, 3, 4, 5]);
  for (const token of [6, 7]) speller.push(token);
  expect(seen).toEqual([
    [2, 3, 4, 5],
    [3, 4, 5, 6],
  ]);
});
