/** The table of jobs, with its filters and older pages. */
import { Rows, byTestId, h, number, stateMark, time } from './dom.js';
import { duration } from '../app/format.js';

/** @typedef {import('./context.js').Context} Context */

/** Delay between a change of a filter and its use. */
const SETTLE_MS = 300;

/** @param {any} job */
const sourceOf = ({ upstream, cache }) =>
  [upstream, cache && `shared: ${cache}`].filter(Boolean).join(', ') || '–';

/** The jobs of all keys. The newest come from the feed, older ones from requests. */
export class JobTable {
  #context;
  #onFilter;
  #rows;
  /** @type {any[]} */
  #newest = [];
  /** @type {any[]} */
  #older = [];
  #hasMore = false;
  #form = /** @type {HTMLFormElement} */ (byTestId('job-filters'));
  #more = byTestId('older-jobs');

  /**
   * @param {Context} context
   * @param {() => void} onFilter called when the feed must be opened with other filters
   */
  constructor(context, onFilter) {
    this.#context = context;
    this.#onFilter = onFilter;
    this.#rows = new Rows(
      byTestId('jobs'),
      [
        { title: 'Job', class: 'mono', head: true, cell: (job) => linkTo(job.job_id) },
        { title: 'State', cell: ({ status }) => stateMark(status) },
        { title: 'Key', cell: ({ key }) => key },
        { title: 'Model', cell: ({ model }) => model },
        { title: 'Source', cell: sourceOf },
        { title: 'Since', class: 'time', cell: (job) => time(job.created_at) },
        { title: 'Attempts', class: 'number', cell: ({ attempts }) => number(attempts) },
        { title: 'First token', class: 'number', cell: (job) => duration(job.ttft_ms) },
        { title: 'Duration', class: 'number', cell: (job) => duration(job.duration_ms) },
        { title: 'Tokens', class: 'number', cell: ({ tokens }) => number(tokens) },
        { title: 'Ending', cell: ({ code, reason }) => code ?? reason ?? '' },
      ],
      (job) => job.job_id,
    );
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    this.#form.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        this.#older = [];
        this.#onFilter();
      }, SETTLE_MS);
    });
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    this.#more.addEventListener('click', () => void this.#readOlder());
  }

  /** The filters as a query. */
  get query() {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(this.#form)) {
      if (typeof value === 'string' && value.trim() !== '') query.append(name, value.trim());
    }
    return query;
  }

  /** @param {string[]} models */
  suggestModels(models) {
    document
      .querySelector('#models')
      ?.replaceChildren(...models.map((model) => h('option', { value: model })));
  }

  /** @param {{data: any[], has_more: boolean}} page page from the feed */
  show({ data, has_more: hasMore }) {
    this.#newest = data;
    if (this.#older.length === 0) this.#hasMore = hasMore;
    this.#draw();
  }

  #draw() {
    const ids = new Set(this.#newest.map((job) => job.job_id));
    const all = [...this.#newest, ...this.#older.filter((job) => !ids.has(job.job_id))];
    this.#rows.show(all);
    byTestId('no-jobs').hidden = all.length > 0;
    this.#more.hidden = !this.#hasMore;
    const owners = [...new Set(all.map(({ key }) => key))].slice(0, 50);
    const list = document.querySelector('#owners');
    if (list?.childElementCount !== owners.length) {
      list?.replaceChildren(...owners.map((key) => h('option', { value: key })));
    }
  }

  async #readOlder() {
    const last = this.#older.at(-1) ?? this.#newest.at(-1);
    const query = this.query;
    query.append('after', last.job_id);
    const page = await this.#context.call('GET', `/v1/admin/jobs?${query}`);
    if (page === undefined) return;
    this.#older.push(...page.data);
    this.#hasMore = page.has_more;
    this.#draw();
  }
}

/** @param {string} id */
function linkTo(id) {
  return h('a', { href: `#job/${id}` }, id);
}
