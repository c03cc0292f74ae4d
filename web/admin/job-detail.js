/** One job as it runs: facts, readers with their lag, calls of the provider, and the log with times. */
import { Feed } from './feed.js';
import { Rows, byTestId, bytes, number, preciseTime, showFacts, time } from './dom.js';
import { duration } from '../app/format.js';

/** Maximum entries in the table; the oldest are removed first. */
const ENTRIES_MAX = 1000;

/** @typedef {{id: string, type: string, at: number | null, data: any, number: number}} Entry */

/** @param {Entry} entry @returns {string} text of the entry */
function contentOf({ type, data }) {
  const { job_id: _, ...members } = data;
  switch (type) {
    case 'token':
      return members.token;
    case 'reasoning':
      return members.reasoning;
    case 'refusal':
      return members.refusal;
    case 'tool_call': {
      const { name, arguments: text = '' } = members;
      return [name, text].filter(Boolean).join(' ');
    }
    case 'job_error':
      return `${members.error.code}: ${members.error.message}`;
    default:
      return members.reason ?? JSON.stringify(members.delta ?? members);
  }
}

/** The section of one job. `open` shows another job, `close` ends its stream. */
export class JobDetail {
  #context;
  #id = '';
  /** @type {Feed | undefined} */
  #feed;
  #count = 0;
  #cancel = /** @type {HTMLButtonElement} */ (byTestId('cancel-job'));
  #log;
  #readers;
  #calls;

  /** @param {import('./context.js').Context} context */
  constructor(context) {
    this.#context = context;
    this.#log = new Rows(
      byTestId('job-log'),
      [
        { title: 'Id', class: 'mono', cell: ({ id }) => id },
        { title: 'Time', class: 'time', cell: ({ at }) => preciseTime(at) },
        { title: 'Entry', cell: ({ type }) => type.replaceAll('_', ' ') },
        { title: 'Content', class: 'says', cell: contentOf },
      ],
      (/** @type {Entry} */ entry) => String(entry.number),
    );
    this.#readers = new Rows(
      byTestId('job-readers'),
      [
        { title: 'Reader', head: true, cell: ({ place }) => number(place) },
        { title: 'Lag, entries', class: 'number', cell: ({ lag }) => number(lag) },
        {
          title: '',
          cell: ({ lag, busy }) => {
            if (lag === null) return 'waits for the whole answer';
            return busy ? 'a batch is on its way' : 'up to date';
          },
        },
      ],
      ({ place }) => String(place),
    );
    this.#calls = new Rows(
      byTestId('job-calls'),
      [
        { title: 'Call', head: true, cell: ({ place }) => number(place) },
        { title: 'From', class: 'number', cell: (call) => duration(call.start_ms) },
        {
          title: 'To',
          class: 'number',
          cell: ({ end_ms: end, isOpen }) => (end === null && isOpen ? 'open' : duration(end)),
        },
      ],
      ({ place }) => String(place),
    );
    this.#cancel.addEventListener('click', () => void this.#stop());
  }

  /** @param {string} id */
  open(id) {
    if (this.#id === id) return;
    this.close();
    this.#id = id;
    this.#count = 0;
    this.#log.clear();
    byTestId('job-title').textContent = id;
    byTestId('job-title').focus();
    this.#feed = new Feed(`/v1/admin/jobs/${encodeURIComponent(id)}/events`, {
      key: () => this.#context.key,
      once: true,
      event: (type, data) => {
        if (type === 'job') this.#show(data);
        if (type === 'entries') this.#add(data.entries);
      },
      state: (state) => {
        if (state !== 'connecting') return;
        this.#log.clear();
        this.#count = 0;
      },
      refused: (_status, message) => {
        byTestId('problem').textContent = message;
        showFacts(byTestId('job-facts'), []);
      },
    });
  }

  close() {
    this.#feed?.close();
    this.#feed = undefined;
    this.#id = '';
  }

  /** @param {any} job */
  #show(job) {
    const isOpen = job.status === 'queued' || job.status === 'running';
    this.#cancel.disabled = !isOpen;
    const usage = job.usage ?? {};
    showFacts(byTestId('job-facts'), [
      ['State', job.status],
      ['Key', job.key],
      ['Model', job.model],
      ['Upstream', job.upstream ?? '–'],
      ['Created', time(job.created_at)],
      ['Attempts', number(job.attempts)],
      ['In the queue', duration(job.queue_ms)],
      ['First token', duration(job.ttft_ms)],
      ['Duration', duration(job.duration_ms)],
      ['Tokens', number(job.tokens), ` ${number(job.tokens_per_second, 1)} a second`],
      [
        'Usage',
        `${number(usage.prompt_tokens)} + ${number(usage.completion_tokens)}`,
        usage.estimated ? ' estimated' : '',
      ],
      ['Log', bytes(job.log_bytes)],
      ['Shared answer', job.cache ?? '–'],
      ['Conversation', job.conversation_id ?? '–'],
      ['Ending', job.error ? `${job.error.code}: ${job.error.message}` : (job.reason ?? '–')],
    ]);
    const numbered = (/** @type {any} */ each, /** @type {number} */ i) => ({
      ...each,
      place: i + 1,
    });
    this.#readers.show(job.readers.map(numbered));
    byTestId('no-readers').hidden = job.readers.length > 0;
    this.#calls.show(
      job.calls.map(numbered).map((/** @type {any} */ call) => ({
        ...call,
        isOpen: isOpen && call.place === job.calls.length,
      })),
    );
  }

  /** @param {[id: string, type: string, at: number | null, data: any][]} entries */
  #add(entries) {
    const frame = /** @type {HTMLElement} */ (byTestId('job-log').parentElement);
    const isAtEnd = frame.scrollTop + frame.clientHeight >= frame.scrollHeight - 8;
    for (const [id, type, at, data] of entries) {
      this.#count += 1;
      this.#log.add({ id, type, at, data, number: this.#count });
      if (this.#log.size > ENTRIES_MAX) this.#log.shift();
    }
    if (isAtEnd) frame.scrollTop = frame.scrollHeight;
  }

  async #stop() {
    const id = this.#id;
    const title = 'Cancel this job?';
    const text = 'Its readers get job_cancelled. The partial answer is kept.';
    if (!(await this.#context.confirm({ title, text, yes: 'Cancel job' }))) return;
    const done = await this.#context.call('POST', `/v1/admin/jobs/${id}/cancel`);
    if (done !== undefined) this.#context.announcer.say('Job cancelled');
  }
}
