/** Keys: owners, permissions and remaining limits; create, rotate, disable, delete. */
import { Rows, button, byTestId, h, number, stateMark } from './dom.js';

/** @type {[member: string, unit: string][]} */
const LIMITS = [
  ['requests_per_minute', 'requests a minute'],
  ['tokens_per_minute', 'tokens a minute'],
  ['concurrent_jobs', 'jobs at a time'],
];
const NAMES = ['requests_per_minute', 'tokens_per_minute'];
const READ_ONLY =
  'Keys are read-only here: this server has no configuration file to write them to (sluice serve --config FILE).';
const NONE_YET = 'This server needs no key yet. The first key must be an administrator’s.';

/** @param {{dimension: string, limit: number, remaining: number}} entry */
const nameOfLimit = ({ dimension }) =>
  dimension === 'concurrent_jobs' ? 'jobs at a time' : `${dimension} a minute`;

/** @param {{dimension: string, limit: number, remaining: number}} entry */
function leftOf(entry) {
  const { limit, remaining } = entry;
  const text = `${number(Math.max(0, remaining))} of ${number(limit)} ${nameOfLimit(entry)}`;
  const meter = h('meter', {
    ...{ min: '0', max: String(limit), value: String(Math.max(0, remaining)) },
    ...{ low: String(limit * 0.2), 'aria-hidden': 'true' },
  });
  return h('div', {}, meter, ` ${text}`);
}

/** @param {Record<string, number>} [limits] of a key */
function limitsText(limits = {}) {
  const all = LIMITS.filter(([member]) => limits[member] !== undefined);
  return all.map(([member, unit]) => `${number(limits[member])} ${unit}`).join(', ') || 'default';
}

/** @param {FormData} form @param {string} member @returns {number | null} null: the field is empty */
function numberIn(form, member) {
  const text = String(form.get(member) ?? '').trim();
  return text === '' ? null : Number(text);
}

/** The section of keys and limits. */
export class KeyTable {
  #context;
  #onKey;
  #rows;
  #limits;
  #form = /** @type {HTMLFormElement} */ (byTestId('new-key'));
  #isWritable = false;
  /** The refusal of the last change of each key, shown in its row. @type {Map<string, string>} */
  #problems = new Map();
  /** The key whose limits the dialog shows. */
  #edited = '';

  /**
   * @param {import('./context.js').Context} context
   * @param {(key: string) => void} onKey called when the page must use another key, because the first one
   *   was created
   */
  constructor(context, onKey) {
    this.#context = context;
    this.#onKey = onKey;
    this.#rows = new Rows(
      byTestId('keys'),
      [
        { title: 'Name', head: true, cell: ({ id }) => id },
        {
          title: 'State',
          cell: ({ disabled }) => stateMark(disabled ? 'disabled' : 'enabled'),
        },
        { title: 'Rights', cell: ({ admin }) => (admin ? 'administrator' : 'jobs') },
        { title: 'Organisation', cell: ({ organisation }) => organisation ?? '–' },
        { title: 'Limits', cell: ({ limits }) => limitsText(limits) },
        { title: 'Models', cell: ({ models }) => models?.join(', ') ?? 'all' },
        {
          title: 'Hashes begin with',
          class: 'mono',
          cell: ({ fingerprints }) => fingerprints.join(', '),
        },
        { title: 'Change', cell: (key) => this.#actions(key) },
      ],
      ({ id }) => id,
    );
    this.#limits = new Rows(
      byTestId('limits'),
      [
        { title: 'Whose', head: true, cell: ({ scope, name }) => `${scope} ${name}` },
        { title: 'Left', cell: ({ entries }) => h('div', {}, ...entries.map(leftOf)) },
      ],
      ({ scope, name }) => `${scope} ${name}`,
    );
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#make();
    });
    byTestId('copy-key').addEventListener('click', () => {
      const key = byTestId('shown-key-text').textContent ?? '';
      void navigator.clipboard?.writeText(key).then(() => this.#context.announcer.say('Copied'));
    });
    byTestId('limits-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#saveLimits();
    });
    byTestId('limits-cancel').addEventListener('click', () => this.#limitsDialog.close());
    const dialog = /** @type {HTMLDialogElement} */ (byTestId('shown-key'));
    byTestId('close-key').addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => (byTestId('shown-key-text').textContent = ''));
  }

  async refresh() {
    const page = await this.#context.call('GET', '/v1/keys?limit=1000');
    if (page === undefined) return;
    this.#isWritable = page.writable;
    this.#form.hidden = !page.writable;
    const note = page.writable ? (page.required ? '' : NONE_YET) : READ_ONLY;
    byTestId('keys-note').textContent = note;
    byTestId('keys-note').hidden = note === '';
    const problemOf = (/** @type {string} */ id) => this.#problems.get(id) ?? '';
    this.#rows.show(
      page.data.map((/** @type {any} */ key) => ({ ...key, problem: problemOf(key.id) })),
    );
  }

  /** @param {{data: any[]}} limits of the feed */
  showLimits({ data }) {
    this.#limits.show(data);
    byTestId('no-limits').hidden = data.length > 0;
  }

  /** @param {any} key */
  #actions(key) {
    const { id, disabled, fingerprints, problem } = key;
    if (!this.#isWritable) return '–';
    const change = (/** @type {string} */ path) => () => void this.#change(id, path);
    const label = (/** @type {string} */ what) => ({ label: `${what} ${id}` });
    return h(
      'div',
      { class: 'actions' },
      button('Limits', () => this.#editLimits(key), label('Limits of')),
      button('Rotate', () => void this.#rotate(id), label('Rotate')),
      fingerprints.length > 1
        ? button('Retire the old one', change('retire'), label('Retire the old key of'))
        : null,
      disabled
        ? button('Enable', change('enable'), label('Enable'))
        : button('Disable', () => void this.#disable(id), label('Disable')),
      button('Delete', () => void this.#remove(id), { class: 'danger', ...label('Delete') }),
      problem ? h('p', { class: 'problem', role: 'alert' }, problem) : null,
    );
  }

  /**
   * @param {string} id
   * @param {'POST' | 'DELETE'} method
   * @param {string} path suffix after the path of the key
   * @param {unknown} [body]
   * @returns {Promise<any>} undefined after a refusal, which is shown in the row of the key
   */
  async #call(id, method, path, body) {
    const problem = h('p');
    const answer = await this.#context.call(method, `${this.#path(id)}${path}`, body, problem);
    if (answer === undefined) this.#problems.set(id, problem.textContent ?? '');
    else this.#problems.delete(id);
    return answer;
  }

  async #make() {
    const form = new FormData(this.#form);
    const given = NAMES.map((name) => [name, numberIn(form, name)]);
    const limits = Object.fromEntries(given.filter(([, value]) => value !== null));
    const id = String(form.get('id') ?? '').trim();
    const request = {
      ...(id !== '' && { id }),
      ...(form.get('admin') !== null && { admin: true }),
      ...(Object.keys(limits).length > 0 && { limits }),
    };
    const made = await this.#context.call('POST', '/v1/keys', request, byTestId('keys-problem'));
    if (made === undefined) return;
    this.#form.reset();
    // Creating the first key of a server ends the access without a key.
    if (this.#rows.size === 0) this.#onKey(made.key);
    this.#showKey(made);
    await this.refresh();
  }

  /** @param {{key: string}} made */
  #showKey({ key }) {
    byTestId('shown-key-text').textContent = key;
    /** @type {HTMLDialogElement} */ (byTestId('shown-key')).showModal();
  }

  /** @param {string} id */
  #path = (id) => `/v1/keys/${encodeURIComponent(id)}`;

  /** @param {string} id */
  async #rotate(id) {
    const made = await this.#call(id, 'POST', '/rotate', {});
    if (made !== undefined) this.#showKey(made);
    await this.refresh();
  }

  /** @param {string} id @param {string} path */
  async #change(id, path) {
    const done = await this.#call(id, 'POST', `/${path}`);
    if (done !== undefined) this.#context.announcer.say(`${id}: ${path}`);
    await this.refresh();
  }

  /** @param {string} id */
  async #disable(id) {
    const title = `Disable the key ${id}?`;
    const text = 'Its callers are refused until it is enabled again. Jobs that run go on.';
    if (await this.#context.confirm({ title, text, yes: 'Disable key' })) {
      await this.#change(id, 'disable');
    }
  }

  get #limitsDialog() {
    return /** @type {HTMLDialogElement} */ (byTestId('edit-limits'));
  }

  /** @param {{id: string, limits?: Record<string, number>}} key */
  #editLimits({ id, limits = {} }) {
    this.#edited = id;
    byTestId('edit-limits-title').textContent = `Limits of ${id}`;
    byTestId('limits-problem').textContent = '';
    const form = /** @type {HTMLFormElement} */ (byTestId('limits-form'));
    for (const [member] of LIMITS) {
      const field = /** @type {HTMLInputElement} */ (form.elements.namedItem(member));
      field.value = limits[member] === undefined ? '' : String(limits[member]);
    }
    this.#limitsDialog.showModal();
  }

  async #saveLimits() {
    const id = this.#edited;
    const form = new FormData(/** @type {HTMLFormElement} */ (byTestId('limits-form')));
    const limits = Object.fromEntries(LIMITS.map(([member]) => [member, numberIn(form, member)]));
    const problem = byTestId('limits-problem');
    if (Object.values(limits).some((value) => value !== null && !Number.isInteger(value))) {
      problem.textContent = 'A limit is a whole number, 1 or more.';
      return;
    }
    const done = await this.#context.call('PATCH', this.#path(id), { limits }, problem);
    if (done === undefined) return;
    this.#limitsDialog.close();
    this.#context.announcer.say(`${id}: limits changed`);
    await this.refresh();
  }

  /** @param {string} id */
  async #remove(id) {
    const title = `Delete the key ${id}?`;
    const text = 'Its callers are refused from now on. Jobs that run go on.';
    if (!(await this.#context.confirm({ title, text, yes: 'Delete key' }))) return;
    await this.#call(id, 'DELETE', '');
    await this.refresh();
  }
}
