/**
 * Schedules changes to the document: each update requested since the last frame runs once in the
 * next one, for any number of tokens.
 */

/** @type {Set<() => void>} */
const marked = new Set();

function draw() {
  const due = [...marked];
  marked.clear();
  for (const each of due) each();
}

/** @param {() => void} update called once in the next frame, for any number of requests */
export function nextFrame(update) {
  if (marked.size === 0) requestAnimationFrame(draw);
  marked.add(update);
}
