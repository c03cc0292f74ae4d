/** Sections loaded when they are shown: spend, conversations, errors, the audit log. */
import { Rows, byTestId, bytes, h, number, stateMark, time } from './dom.js';

/** @typedef {import('./context.js').Context} Context */

const DAY_MS = 24 * 3_600_000;

/** @param {any} counts @param {string} of */
function valueOf(counts, of) {
  if (of === 'cost') return Number(counts.cost);
  if (of === 'requests') return counts.requests;
  return counts.prompt_tokens + counts.completion_tokens;
}

/** Spend by key and day. */
export class Spend {
  #context;
  #form = /** @type {HTMLFormElement} */ (byTestId('spend-form'));

  /** @param {Context} context */
  constructor(context) {
    this.#context = context;
    this.#form.addEventListener('change', () => void this.refresh());
    this.#form.addEventListener('submit', (event) => event.preventDefault());
  }

  async refresh() {
    const form = new FormData(this.#form);
    const count = Number(form.get('days'));
    const of = String(form.get('of'));
    const days = Array.from({ length: count }, (_, i) =>
      new Date(Date.now() - (count - 1 - i) * DAY_MS).toISOString().slice(0, 10),
    );
    const query = `group_by=key_day&from=${days[0]}`;
    const usage = await this.#context.call('GET', `/v1/usage?${query}`);
    if (usage === undefined) return;
    /** @type {Map<string, {key: string, days: Record<string, number>, total: number}>} */
    const keys = new Map();
    for (const { group, ...counts } of usage.data) {
      const [day, key] = [group.slice(0, 10), group.slice(11)];
      const value = valueOf(counts, of);
      const row = keys.get(key) ?? {
        key,
        days: /** @type {Record<string, number>} */ ({}),
        total: 0,
      };
      row.days[day] = value;
      row.total += value;
      keys.set(key, row);
    }
    const rows = [...keys.values()].sort((a, b) => b.total - a.total);
    const total = { key: 'all', days: /** @type {Record<string, number>} */ ({}), total: 0 };
    for (const row of rows) {
      total.total += row.total;
      for (const day of days) total.days[day] = (total.days[day] ?? 0) + (row.days[day] ?? 0);
    }
    const table = new Rows(
      byTestId('spend'),
      [
        { title: 'Key', head: true, cell: ({ key }) => key },
        { title: 'Sum', class: 'number', cell: (row) => number(row.total) },
        ...days.map((day) => ({
          title: day.slice(5),
          class: 'number',
          cell: (/** @type {any} */ row) => number(row.days[day] ?? 0),
        })),
      ],
      ({ key }) => key,
    );
    byTestId('spend').querySelector('tbody')?.replaceChildren();
    table.show(rows.length === 0 ? [] : [...rows, total]);
    byTestId('no-spend').hidden = rows.length > 0;
  }
}

/** The latest conversations, without their messages. */
export class ConversationTable {
  #context;
  #rows;

  /** @param {Context} context */
  constructor(context) {
    this.#context = context;
    this.#rows = new Rows(
      byTestId('conversations'),
      [
        { title: 'Conversation', class: 'mono', head: true, cell: ({ id }) => id },
        { title: 'Key', cell: ({ key }) => key },
        { title: 'Title', cell: ({ title }) => title ?? '–' },
        { title: 'Messages', class: 'number', cell: (each) => number(each.message_count) },
        { title: 'Size', class: 'number', cell: (each) => bytes(each.bytes) },
        { title: 'Last change', class: 'time', cell: (each) => time(each.updated_at) },
        {
          title: 'Turn',
          class: 'mono',
          cell: ({ busy_job_id: id }) => (id === null ? '' : h('a', { href: `#job/${id}` }, id)),
        },
      ],
      ({ id }) => id,
    );
  }

  async refresh() {
    const page = await this.#context.call('GET', '/v1/admin/conversations');
    if (page === undefined) return;
    this.#rows.show(page.data);
    byTestId('no-conversations').hidden = page.data.length > 0;
  }
}

/** The most frequent errors. Its data come from the feed. */
export class ErrorTable {
  #rows;

  constructor() {
    this.#rows = new Rows(
      byTestId('errors'),
      [
        { title: 'Count', class: 'number', cell: ({ count }) => number(count) },
        { title: 'Error', class: 'says', cell: ({ template }) => template },
        { title: 'First', class: 'time', cell: (each) => time(each.first_at) },
        { title: 'Last', class: 'time', cell: (each) => time(each.last_at) },
      ],
      ({ template }) => template,
    );
  }

  /** @param {any[]} errors */
  show(errors) {
    this.#rows.show(errors);
    byTestId('no-errors').hidden = errors.length > 0;
  }
}

/** The audit log, newest first. */
export class AuditTable {
  #context;
  #rows;
  /** @type {any[]} */
  #entries = [];
  #form = /** @type {HTMLFormElement} */ (byTestId('audit-filters'));
  #more = byTestId('older-audit');

  /** @param {Context} context */
  constructor(context) {
    this.#context = context;
    this.#rows = new Rows(
      byTestId('audit'),
      [
        { title: 'Time', class: 'time', cell: (entry) => time(entry.created_at) },
        { title: 'Actor', head: true, cell: ({ actor }) => actor ?? 'the process' },
        { title: 'Action', cell: ({ action }) => action },
        { title: 'Target', class: 'mono', cell: ({ target }) => target ?? '–' },
        { title: 'Outcome', cell: ({ outcome }) => stateMark(outcome) },
        {
          title: 'Answer',
          cell: ({ status, code }) => [status, code].filter(Boolean).join(' ') || '–',
        },
        { title: 'Details', class: 'says', cell: ({ details }) => detailsOf(details) },
        { title: 'Request', class: 'mono', cell: (entry) => entry.request_id ?? '–' },
      ],
      ({ id }) => id,
    );
    this.#form.addEventListener('change', () => void this.refresh());
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    this.#more.addEventListener('click', () => void this.#read(this.#entries.at(-1)?.id));
  }

  refresh() {
    this.#entries = [];
    return this.#read();
  }

  /** @param {string} [after] */
  async #read(after) {
    const query = new URLSearchParams({ limit: '50', ...(after !== undefined && { after }) });
    for (const [name, value] of new FormData(this.#form)) {
      if (typeof value === 'string' && value.trim() !== '') query.append(name, value.trim());
    }
    const page = await this.#context.call('GET', `/v1/audit?${query}`);
    if (page === undefined) return;
    this.#entries.push(...page.data);
    this.#rows.show(this.#entries);
    this.#more.hidden = !page.has_more;
    byTestId('no-audit').hidden = this.#entries.length > 0;
  }
}

/** @param {Record<string, unknown>} details */
function detailsOf(details) {
  return Object.entries(details)
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`)
    .join(', ');
}
