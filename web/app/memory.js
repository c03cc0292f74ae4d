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

/** @param {KnownJob} job */
export function remember({ id, prompt, model }) {
  const known = { id, prompt: prompt.slice(0, kPromptMax), model };
  // Read anew each time: another tab may have written since.
  store([known, ...recall().filter((other) => other.id !== id)]);
}

/** @param {string[]} ids */
export function forget(ids) {
  store(recall().filter((job) => !ids.includes(job.id)));
}

/** @param {KnownJob[]} jobs newest first */
function store(jobs) {
  try {
    localStorage.setItem(kKey, JSON.stringify(jobs.slice(0, kJobsMax)));
  } catch {
    // Without storage everything works but the reload.
  }
}
