/**
 * All changes to the document go through here: whatever was marked since the last frame is drawn
 * once in the next, however many tokens came.
 */

/** @type {Set<() => void>} */
const marked = new Set();

function draw() {
  const due = [...marked];
  marked.clear();
  for (const each of due) each();
}

/** @param {() => void} update called once in the next frame, however often it is marked */
export function nextFrame(update) {
  if (marked.size === 0) requestAnimationFrame(draw);
  marked.add(update);
}
