/**
 * The jobs of this browser, stored so that a reload restores them. Only id, prompt and model are
 * stored; the server replays the text.
 */

const KEY = 'sluice.jobs';
const JOBS_MAX = 64;
const PROMPT_MAX = 600;

/**
 * @typedef {{id: string, prompt: string, model: string}} KnownJob
 */

/** @returns {KnownJob[]} newest first */
export function recall() {
  try {
    const list = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return list.filter((/** @type {any} */ job) => typeof job?.id === 'string').slice(0, JOBS_MAX);
  } catch {
    return []; // storage disabled, or in another format
  }
}

/** @param {KnownJob} job */
export function remember({ id, prompt, model }) {
  const known = { id, prompt: prompt.slice(0, PROMPT_MAX), model };
  // Read again each time: another tab may have written since.
  store([known, ...recall().filter((other) => other.id !== id)]);
}

/** @param {string[]} ids */
export function forget(ids) {
  store(recall().filter((job) => !ids.includes(job.id)));
}

/** @param {KnownJob[]} jobs newest first */
function store(jobs) {
  try {
    localStorage.setItem(KEY, JSON.stringify(jobs.slice(0, JOBS_MAX)));
  } catch {
    // Without storage a reload cannot restore the jobs.
  }
}
