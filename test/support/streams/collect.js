/** All that an async iterable gives. */
export async function collect(iterable) {
  const events = [];
  for await (const event of iterable) events.push(event);
  return events;
}
