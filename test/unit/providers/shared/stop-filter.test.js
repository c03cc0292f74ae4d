import { StopFilter } from '../../../../lib/providers/shared/stop-filter.js';
import { cpuMsOf } from '../../../support/cpu-time.js';
import { randomFrom } from '../../../support/random.js';

/** By definition: the text before the stop string that is complete first; of several the longest. */
function expected(text, stops) {
  for (let end = 0; end <= text.length; end++) {
    const met = stops.filter((stop) => stop !== '' && text.slice(0, end).endsWith(stop));
    if (met.length > 0) {
      return { text: text.slice(0, end - Math.max(...met.map((stop) => stop.length))), met: true };
    }
  }
  return { text, met: false };
}

test('any division of a text has the same result, and only possible beginnings are held back', () => {
  const random = randomFrom(11);
  const word = (length) =>
    Array.from({ length }, () => (random() < 0.6 ? 'a' : 'b')).join('') +
    (random() < 0.1 ? 'c' : '');
  for (let round = 0; round < 3000; round++) {
    const stops = Array.from({ length: Math.floor(random() * 4) }, () =>
      word(Math.floor(random() * 6)),
    );
    const text = word(Math.floor(random() * 20));
    const filter = new StopFilter(stops);
    let given = '';
    for (let at = 0; at < text.length;) {
      const next = at + 1 + Math.floor(random() * 4);
      given += filter.push(text.slice(at, next));
      at = next;
      if (filter.stopped) continue;
      const read = text.slice(0, at);
      const held = read.slice(given.length);
      expect(held === '' || stops.some((stop) => stop.startsWith(held))).toBe(true);
    }
    given += filter.flush();
    expect({ stops, text: given, met: filter.stopped }).toEqual({
      stops,
      ...expected(text, stops),
    });
  }
});

test('nothing follows a stop string', () => {
  const filter = new StopFilter(['END']);
  expect(filter.push('a END b')).toBe('a ');
  expect([filter.stopped, filter.stopSequence]).toEqual([true, 'END']);
  expect(filter.push('c')).toBe('');
  expect(filter.flush()).toBe('');
});

test('long stop strings take linear time', async () => {
  // Each position of the text nearly matches: comparing every length at every position takes minutes.
  const stop = `${'a'.repeat(50_000)}b${'a'.repeat(50_000)}c`;
  const filter = new StopFilter([stop, 'b'.repeat(100_000), `${'a'.repeat(99_999)}d`]);
  const chunk = `${'a'.repeat(4999)}b`;
  let length = 0;
  const ms = await cpuMsOf(() => {
    for (let i = 0; i < 40; i++) length += filter.push(chunk).length;
  });
  expect(length + filter.flush().length).toBe(200_000);
  expect(ms).toBeLessThan(2000);
});
