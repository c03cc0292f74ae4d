/** All values of an async iterable. */
export async function collect(iterable) {
  const events = [];
  for await (const event of iterable) events.push(event);
  return events;
}
