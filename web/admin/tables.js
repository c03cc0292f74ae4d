/** The tables of the dashboard. */
import { build } from '../app/build.js';

/**
 * By the name in `data-table`. `empty` is shown if there are no rows; with `region` the card is a landmark of
 * that name, else a group named by the caption; `hides` the caption, which the heading repeats.
 * @type {Record<string, {caption: string, empty?: string, region?: string, hides?: boolean}>}
 */
const TABLES = {
  latency: { caption: 'Last five minutes by model and upstream, milliseconds' },
  queue: { caption: 'Queue and slots' },
  memory: { caption: 'Memory by kind' },
  upstreams: { caption: 'Upstreams' },
  cluster: { caption: 'Processes on this Redis' },
  jobs: { caption: 'Jobs, newest first', empty: 'No job matches.', region: 'Jobs', hides: true },
  'job-readers': { caption: 'Readers', empty: 'No readers.' },
  'job-calls': { caption: 'Calls of the provider' },
  'job-log': { caption: 'Log', region: 'Log entries' },
  keys: { caption: 'Keys', region: 'Keys' },
  limits: {
    caption: 'Limits, and what is left of them now',
    empty: 'No limits are configured.',
    region: 'Limits',
  },
  spend: {
    caption: 'By key and day, in UTC',
    empty: 'No job has ended in these days.',
    region: 'Spend',
  },
  conversations: {
    caption: 'Latest activity first, without messages',
    empty: 'No conversations.',
    region: 'Conversations',
  },
  workflows: {
    caption: 'Workflows and crawls, newest first',
    empty: 'No workflows.',
    region: 'Workflows',
  },
  errors: { caption: 'Most frequent errors of the logs', empty: 'No errors.', region: 'Errors' },
  audit: {
    caption: 'Entries, newest first',
    empty: 'No entry matches.',
    region: 'Entries',
    hides: true,
  },
};

/**
 * Puts a table into each element with `data-table`.
 * @param {ParentNode} root
 */
export function buildTables(root) {
  for (const each of root.querySelectorAll('[data-table]')) {
    const place = /** @type {HTMLElement} */ (each);
    const { table: name = '' } = place.dataset;
    const { caption, empty, region, hides = false } = TABLES[name];
    const table = document.createElement('table');
    table.dataset.testid = name;
    const title = table.createCaption();
    title.textContent = caption;
    title.classList.toggle('visually-hidden', hides);
    table.createTHead();
    table.createTBody();
    place.append(table);
    if (empty !== undefined) {
      const note = build('p', 'empty-note', empty);
      note.hidden = true;
      note.dataset.testid = `no-${name.replace(/^job-/, '')}`;
      place.append(note);
    }
    // Scrollable regions must be reachable by the keyboard and have a name.
    place.tabIndex = 0;
    place.role = region === undefined ? 'group' : 'region';
    place.ariaLabel = region ?? caption;
  }
}
