/**
 * Several async iterators as one.
 *
 * Each source is asked for its next item only after the consumer has taken the one before, so at
 * most one item per source waits. (A `Promise.race` over all of them at every item would add a
 * reaction to every pending promise each time.)
 * @template T
 * @param {AsyncGenerator<T, void, undefined>[]} sources
 * @returns {AsyncGenerator<T, void, undefined>} ends when all have; rejects when one does, and
 *   returns the others
 */
export async function* merge(sources) {
  /** @type {{source: AsyncGenerator<T, void, undefined>, result: Promise<IteratorResult<T, void>>}[]} */
  const ready = [];
  let wake = () => {};
  /** @param {AsyncGenerator<T, void, undefined>} source */
  const pull = (source) => {
    const result = source.next();
    const settle = () => {
      ready.push({ source, result });
      wake();
    };
    result.then(settle, settle);
  };
  try {
    sources.forEach(pull);
    for (let open = sources.length; open > 0;) {
      const first = ready.shift();
      if (first === undefined) {
        await /** @type {Promise<void>} */ (new Promise((resolve) => (wake = resolve)));
        continue;
      }
      const { done, value } = await first.result;
      if (done) {
        open -= 1;
        continue;
      }
      yield value;
      pull(first.source);
    }
  } finally {
    for (const source of sources) source.return().catch(() => {});
  }
}
