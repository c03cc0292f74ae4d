/** Keys: who has one, what each may use and has left; make, rotate, disable, delete. */
import { Rows, button, byTestId, h, number, stateMark } from './dom.js';

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

/** The section of keys and limits. */
export class KeyTable {
  #context;
  #onKey;
  #rows;
  #limits;
  #form = /** @type {HTMLFormElement} */ (byTestId('new-key'));
  #isWritable = false;

  /**
   * @param {import('./context.js').Context} context
   * @param {(key: string) => void} onKey called when the page is to use another key, because the first one
   *   was made
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
    this.#rows.show(page.data);
  }

  /** @param {{data: any[]}} limits of the feed */
  showLimits({ data }) {
    this.#limits.show(data);
    byTestId('no-limits').hidden = data.length > 0;
  }

  /** @param {any} key */
  #actions({ id, disabled, fingerprints }) {
    if (!this.#isWritable) return '–';
    const change = (/** @type {string} */ path) => () => void this.#change(id, path);
    const label = (/** @type {string} */ what) => ({ label: `${what} ${id}` });
    return h(
      'div',
      { class: 'actions' },
      button('Rotate', () => void this.#rotate(id), label('Rotate')),
      fingerprints.length > 1
        ? button('Retire the old one', change('retire'), label('Retire the old key of'))
        : null,
      disabled
        ? button('Enable', change('enable'), label('Enable'))
        : button('Disable', change('disable'), label('Disable')),
      button('Delete', () => void this.#remove(id), { class: 'danger', ...label('Delete') }),
    );
  }

  /** @param {unknown} [body] */
  #call(/** @type {'POST' | 'DELETE'} */ method, /** @type {string} */ path, body) {
    return this.#context.call(method, path, body, byTestId('keys-problem'));
  }

  async #make() {
    const form = new FormData(this.#form);
    const given = NAMES.map((name) => [name, String(form.get(name) ?? '').trim()]);
    const limits = Object.fromEntries(
      given.filter(([, text]) => text !== '').map(([name, text]) => [name, Number(text)]),
    );
    const id = String(form.get('id') ?? '').trim();
    const made = await this.#call('POST', '/v1/keys', {
      ...(id !== '' && { id }),
      ...(form.get('admin') !== null && { admin: true }),
      ...(Object.keys(limits).length > 0 && { limits }),
    });
    if (made === undefined) return;
    this.#form.reset();
    // The first key of a server ends the access without one.
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
    const made = await this.#call('POST', `${this.#path(id)}/rotate`, {});
    if (made !== undefined) this.#showKey(made);
    await this.refresh();
  }

  /** @param {string} id @param {string} path */
  async #change(id, path) {
    const done = await this.#call('POST', `${this.#path(id)}/${path}`);
    if (done !== undefined) this.#context.announcer.say(`${id}: ${path}`);
    await this.refresh();
  }

  /** @param {string} id */
  async #remove(id) {
    const title = `Delete the key ${id}?`;
    const text = 'Its callers are refused from now on. Jobs that run go on.';
    if (!(await this.#context.confirm({ title, text, yes: 'Delete key' }))) return;
    await this.#call('DELETE', this.#path(id));
    await this.refresh();
  }
}
