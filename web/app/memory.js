/**
 * Which jobs this browser knows, so that a reload finds them again. Only ids and what was asked are
 * kept; the text is the server's to replay.
 */

const kKey = 'sluice.jobs';
const kJobsMax = 64;
const kPromptMax = 600;

/**
 * @typedef {{id: string, prompt: string, model: string}} KnownJob
 */

/** @returns {KnownJob[]} newest first */
export function recall() {
  try {
    const list = JSON.parse(localStorage.getItem(kKey) ?? '[]');
    return list.filter((/** @type {any} */ job) => typeof job?.id === 'string').slice(0, kJobsMax);
  } catch {
    return []; // storage switched off, or written by something else
  }
}

/** @param {KnownJob[]} jobs newest first */
export function remember(jobs) {
  const kept = jobs
    .slice(0, kJobsMax)
    .map(({ id, prompt, model }) => ({ id, prompt: prompt.slice(0, kPromptMax), model }));
  try {
    localStorage.setItem(kKey, JSON.stringify(kept));
  } catch {
    // Without storage everything works but the reload.
  }
}
