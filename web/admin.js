/**
 * The dashboard: sections by the fragment of the URL, and one live feed while the page is visible. The feed
 * is closed while the page is hidden, so that the server stops sampling.
 */
import { AuditTable, ConversationTable, ErrorTable, Spend } from './admin/reports.js';
import { Context } from './admin/context.js';
import { Feed } from './admin/feed.js';
import { JobDetail } from './admin/job-detail.js';
import { JobTable } from './admin/jobs.js';
import { KeyForm } from './app/key-form.js';
import { KeyTable } from './admin/keys.js';
import { Overview } from './admin/overview.js';
import { WorkflowTable } from './admin/workflows.js';
import { buildTables } from './admin/tables.js';
import { byTestId } from './admin/dom.js';

/** Time that a hidden page keeps its feed. */
const HIDDEN_MS = 10_000;
/** Interval of reads for data that is not in the feed. */
const REFRESH_MS = 30_000;

const LINK_WORDS = {
  idle: 'Not connected',
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Connection lost, reconnecting',
  offline: 'Not connected',
};

buildTables(document);
const context = new Context(deny);
const overview = new Overview();
const jobs = new JobTable(context, () => follow());
const detail = new JobDetail(context);
const keys = new KeyTable(context, (key) => {
  context.useKey(key);
  follow();
});
const workflows = new WorkflowTable(context);
const errors = new ErrorTable();

/** Sections loaded when they are shown. @type {Record<string, {refresh: () => Promise<void>}>} */
const reports = {
  keys,
  spend: new Spend(context),
  conversations: new ConversationTable(context),
  audit: new AuditTable(context),
};
const sections = ['overview', 'jobs', 'job', 'keys', 'spend'].concat([
  ...['conversations', 'workflows', 'errors', 'audit'],
]);

/** @type {Feed | undefined} */
let feed;

/** @param {keyof typeof LINK_WORDS} state */
function showLink(state) {
  const link = byTestId('connection');
  if (link.dataset.state === state) return;
  link.dataset.state = state;
  const text = link.querySelector('[data-part=text]');
  if (text) text.textContent = LINK_WORDS[state];
}

/** Opens a new feed, with the filters of the jobs. */
function follow() {
  feed?.close();
  feed = undefined;
  if (document.hidden) return;
  feed = new Feed(`/v1/admin/events?${jobs.query}`, {
    key: () => context.key,
    event: receive,
    state: (state) => showLink(state === 'closed' ? 'offline' : state),
    refused: (status, message) => {
      if (status === 401 || status === 403) deny(message);
      else byTestId('problem').textContent = message;
    },
  });
}

/** @param {string} type @param {any} data */
function receive(type, data) {
  switch (type) {
    case 'hello':
      byTestId('key-form').hidden = true;
      document.body.toggleAttribute('data-denied', false);
      byTestId('problem').textContent = '';
      overview.hello(data);
      jobs.suggestModels(data.models);
      break;
    case 'series':
      overview.series(data);
      break;
    case 'rates':
      overview.rates(data);
      break;
    case 'sample':
      overview.sample(data);
      break;
    case 'jobs':
      jobs.show(data);
      break;
    case 'state':
      overview.state(data);
      keys.showLimits(data.limits);
      workflows.show(data);
      errors.show(data.errors);
      break;
  }
}

let isAsking = false;

/** @param {string} message of the refusal */
function deny(message) {
  feed?.close();
  feed = undefined;
  showLink('offline');
  document.body.toggleAttribute('data-denied', true);
  // Report a wrong key; without a key only show the form.
  if (!isAsking) keyForm.ask(context.key === null ? '' : message);
  isAsking = true;
}

const keyForm = new KeyForm(/** @type {any} */ (byTestId('key-form')), async (key) => {
  const response = await fetch('/v1/admin/jobs?limit=1', {
    headers: { authorization: `Bearer ${key}` },
  }).catch(() => undefined);
  if (response === undefined) return 'The server could not be reached.';
  if (!response.ok) return (await response.json()).error.message;
  context.useKey(key);
  isAsking = false;
  follow();
  show();
  return '';
});

/** Scrolls the bar of sections so that a link is centred. @param {HTMLElement} link */
function reveal(link) {
  const bar = /** @type {HTMLElement} */ (link.parentElement);
  bar.scrollLeft = link.offsetLeft - bar.offsetLeft - (bar.clientWidth - link.offsetWidth) / 2;
}

/** Shows the section named in the fragment. */
function show() {
  const [name, id = ''] = location.hash.slice(1).split('/').map(decodeURIComponent);
  // The skip link leads to the content of any section.
  if (name === 'main') return;
  const section = sections.includes(name) ? name : 'overview';
  for (const each of sections) {
    const element = document.querySelector(`#section-${each}`);
    if (element instanceof HTMLElement) element.hidden = each !== section;
  }
  scrollTo({ top: 0 });
  const current = section === 'job' ? 'jobs' : section;
  for (const link of document.querySelectorAll('.sections a')) {
    const isCurrent = link.getAttribute('href') === `#${current}`;
    if (isCurrent) {
      link.setAttribute('aria-current', 'page');
      reveal(/** @type {HTMLElement} */ (link));
    } else link.removeAttribute('aria-current');
  }
  byTestId('problem').textContent = '';
  overview.setShown(section === 'overview');
  if (section === 'job') detail.open(id);
  else detail.close();
  workflows.open(section === 'workflows' ? id : '');
  if (!isAsking) void reports[section]?.refresh();
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let hiding;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hiding);
  if (!document.hidden) {
    if (feed !== undefined || isAsking) return;
    follow();
    show();
    return;
  }
  hiding = setTimeout(() => {
    detail.close();
    feed?.close();
    feed = undefined;
    showLink('idle');
  }, HIDDEN_MS);
});
setInterval(() => {
  const [name] = location.hash.slice(1).split('/');
  const isEdited = document.activeElement?.closest('form, dialog') !== null;
  if (!document.hidden && !isAsking && !isEdited) void reports[name]?.refresh();
}, REFRESH_MS);
window.addEventListener('hashchange', show);

follow();
show();
