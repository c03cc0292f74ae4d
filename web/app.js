/**
 * The demo page: conversations, and jobs side by side, whose connections can be dropped and restored.
 * A reload restores both. The page asks for a key if the server requires one. The fragment of the URL
 * selects the view: a conversation (`#conv_...`), a new one (`#new` or none), or the jobs (`#jobs`).
 */

import { Announcer } from './app/announcer.js';
import { Banner } from './app/banner.js';
import { Chat } from './app/chat/chat.js';
import { copyText } from './app/clipboard.js';
import { Composer } from './app/chat/composer.js';
import { plural } from './app/format.js';
import { nextFrame } from './app/frame.js';
import { JobCard } from './app/job-card.js';
import { KeyForm, recallKey } from './app/key-form.js';
import { forget, recall, remember } from './app/memory.js';
import { Deletions } from './app/chat/deletions.js';
import { connectDrawer } from './app/drawer.js';
import { Places } from './app/places.js';
import { Toasts } from './app/toast.js';
import { createClient } from './client.js';

/** @template {HTMLElement} T @param {string} name @returns {T} */
const byTestId = (name) => /** @type {any} */ (document.querySelector(`[data-testid=${name}]`));

const list = byTestId('cards');
const link = byTestId('connection');
const dropAll = /** @type {HTMLButtonElement} */ (byTestId('drop-all'));
const clear = /** @type {HTMLButtonElement} */ (byTestId('clear'));
const template = /** @type {HTMLTemplateElement} */ (document.querySelector('template#card'));
const announcer = new Announcer(byTestId('announcer'));
// All tabs restore the same jobs and share six connections per origin, so each tab uses one.
const client = createClient({
  multiplex: true,
  apiKey: recallKey() ?? undefined,
  // A deletion continues after the page is closed.
  fetch: (url, init) => fetch(url, { ...init, keepalive: init?.method === 'DELETE' }),
});

/** @type {Set<JobCard>} oldest first; the page lists newest first */
const cards = new Set();

const KEY_REFUSED = 'The server does not accept this key.';

/** @param {any} error */
const wantsKey = (error) => error?.status === 401;

const isLive = (/** @type {JobCard} */ card) => !card.job.ended;

/** @param {import('./client.js').Job} job @param {import('./app/memory.js').KnownJob} known */
function addCard(job, known, /** @type {number | null} */ sentAtMs) {
  const card = new JobCard(job, known, {
    sentAtMs,
    template,
    say: (message) => announcer.say(message),
    onChange: () => nextFrame(drawPage),
    onRemove: (removed) => removeCards([removed]),
  });
  void job.done.then(({ error }) => {
    if (wantsKey(error)) keyForm.ask(KEY_REFUSED);
  });
  cards.add(card);
  list.prepend(card.element);
  nextFrame(drawPage);
}

/** @param {JobCard[]} removed */
function removeCards(removed) {
  const focused = removed.some((card) => card.element.contains(document.activeElement));
  for (const card of removed) {
    cards.delete(card);
    card.element.remove();
  }
  // Removing the focused element would move the focus to the top of the page.
  if (focused) document.getElementById('jobs')?.focus();
  forget(removed.map((card) => card.known.id));
  nextFrame(drawPage);
}

/** Scrolls to the newest job, below the form on a narrow screen. */
function showNewest() {
  const newest = list.firstElementChild;
  if (newest === null) return;
  const { top, bottom } = newest.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight) newest.scrollIntoView({ block: 'nearest' });
}

/** @param {import('./app/chat/composer.js').PromptRequest[]} requests @returns {Promise<unknown[]>} */
async function submitAll(requests) {
  const results = await Promise.allSettled(
    requests.map(async (request) => {
      const sentAtMs = performance.now();
      const job = await client.submit(request);
      const known = { id: job.id, prompt: request.prompt, model: request.model ?? '' };
      remember(known);
      addCard(job, known, sentAtMs);
    }),
  );
  if (results.some(({ status }) => status === 'fulfilled')) showNewest();
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (errors.some(wantsKey)) keyForm.ask(KEY_REFUSED);
  return errors;
}

/** @returns {import('./client.js').Job[]} */
function liveJobs() {
  const live = [...cards].filter(isLive).map((card) => card.job);
  return chat.job === null ? live : [...live, chat.job];
}

/** @returns {[state: string, text: string]} */
function linkState() {
  const live = liveJobs();
  const states = live.map((job) => job.connection);
  if (!navigator.onLine) return ['offline', 'This device is offline'];
  if (live.length === 0) return ['idle', 'No open stream'];
  if (states.includes('reconnecting')) return ['reconnecting', 'Connection lost, reconnecting'];
  if (states.every((state) => state === 'closed')) {
    return ['dropped', `${plural(live.length, 'stream')} dropped`];
  }
  const { jobs, connections } = client.stats();
  return ['live', `${plural(jobs, 'stream')} on ${plural(connections, 'connection')}`];
}

function drawPage() {
  const [state, text] = linkState();
  link.dataset.state = state;
  const part = /** @type {HTMLElement} */ (link.querySelector('[data-part=text]'));
  if (part.textContent !== text) part.textContent = text;

  const live = [...cards].filter(isLive);
  const connected = live.some((card) => card.connected);
  byTestId('empty').hidden = cards.size > 0;
  byTestId('legend').hidden = cards.size === 0;
  byTestId('count').textContent =
    cards.size === 0 ? '' : `${cards.size} in all, ${live.length} running`;
  dropAll.disabled = live.length === 0;
  dropAll.textContent = live.length > 0 && !connected ? 'Reconnect all' : 'Drop all connections';
  clear.disabled = live.length === cards.size;
  composer.setBusy(chat.job !== null);
  const title = isChat() ? chat.title : 'Jobs';
  document.title = title === '' ? 'Sluice' : `${title} – Sluice`;
}

dropAll.addEventListener('click', () => {
  const live = [...cards].filter(isLive);
  const connect = !live.some((card) => card.connected);
  for (const card of live) card.setConnected(connect);
});
clear.addEventListener('click', () => {
  removeCards([...cards].filter((card) => !isLive(card)));
});
addEventListener('online', () => nextFrame(drawPage));
addEventListener('offline', () => nextFrame(drawPage));

const toasts = new Toasts(
  byTestId('toasts'),
  /** @type {HTMLTemplateElement} */ (document.querySelector('template#toast')),
);
/** @param {string} text */
async function copy(text) {
  const copied = await copyText(text);
  announcer.say(copied ? 'Copied.' : 'Not copied.');
  toasts.show(copied ? 'Copied.' : 'The browser did not allow the copy.');
}
const banner = new Banner(byTestId('banner'), (text) => void copy(text));
const deletions = new Deletions(toasts, (id) => client.conversations.delete(id));

const chat = new Chat(/** @type {HTMLElement} */ (document.querySelector('#chat')), {
  client,
  deletions,
  template: /** @type {HTMLTemplateElement} */ (document.querySelector('template#message')),
  say: (message) => announcer.say(message),
  copy: (text) => void copy(text),
  settings: () => composer.settings(),
  onOpened: (id) => {
    location.hash = id === null ? '#new' : `#${id}`;
    void places.refresh();
  },
  onChange: () => {
    void places.refresh();
    nextFrame(drawPage);
  },
  onConnection: () => nextFrame(drawPage),
});
const places = new Places(/** @type {HTMLElement} */ (document.querySelector('.places')), {
  client,
  isHidden: (id) => deletions.has(id),
  onDelete: (id) => chat.delete(id),
});
connectDrawer(byTestId('drawer'), byTestId('menu'));

const isChat = () => document.body.dataset.view === 'chat';

/** Shows the view that the fragment of the URL selects. */
function showPlace() {
  const [, id] = /^#(conv_[\w-]+)$/.exec(location.hash) ?? [];
  const view = location.hash === '#jobs' ? 'jobs' : 'chat';
  document.body.dataset.view = view;
  chat.section.hidden = view !== 'chat';
  /** @type {HTMLElement} */ (document.querySelector('#jobs')).hidden = view !== 'jobs';
  // Under the thread, above the jobs: the Tab order follows the page.
  const slot = document.querySelector(`[data-slot=${view}]`);
  const forms = byTestId('forms');
  if (forms.parentElement !== slot) slot?.append(forms);
  composer.setView(view);
  composer.setProblem('');
  places.setCurrent(id === undefined ? '' : `#${id}`);
  const tabs = { chat: byTestId('place-chat'), jobs: byTestId('place-jobs') };
  for (const [name, tab] of Object.entries(tabs)) {
    if (name === view) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  // The tab returns to the last open conversation.
  if (view === 'chat') tabs.chat.setAttribute('href', id === undefined ? '#new' : `#${id}`);
  if (view === 'jobs') chat.close();
  else if (id === undefined || id !== chat.id) void chat.open(id ?? null);
  scrollTo({ top: view === 'chat' && id !== undefined ? document.body.scrollHeight : 0 });
  nextFrame(drawPage);
}

const composer = new Composer(
  /** @type {HTMLFormElement} */ (byTestId('composer')),
  byTestId('problem'),
  {
    submit: async (requests) => {
      if (!isChat()) return submitAll(requests);
      const errors = await chat.send(requests[0]);
      if (errors.some(wantsKey)) keyForm.ask(KEY_REFUSED);
      return errors;
    },
    onStop: () => void chat.stop(),
  },
);
byTestId('suggestions').addEventListener('click', (event) => {
  const button = /** @type {Element} */ (event.target).closest('button');
  if (button === null) return;
  composer.setPrompt(button.textContent ?? '');
  void composer.send();
});
addEventListener('hashchange', showPlace);
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState !== 'visible') return;
  void places.refresh();
  void chat.refresh();
});
const keyForm = new KeyForm(/** @type {HTMLFormElement} */ (byTestId('key-form')), async (key) => {
  client.setApiKey(key);
  showPlace();
  if (!(await enter())) return KEY_REFUSED;
  byTestId('prompt').focus();
  return '';
});

/** Loads models, conversations and jobs. Resolves to false if the server requires another key. */
async function enter() {
  let problem = '';
  try {
    const models = await client.models();
    composer.setModels(models);
    banner.show(models);
  } catch (error) {
    if (wantsKey(error)) return false;
    composer.setModels([]);
    problem = `The server did not answer: ${/** @type {Error} */ (error).message}.`;
  } finally {
    document.body.dataset.ready = '';
  }
  composer.setProblem(problem);
  await deletions.resume();
  void places.refresh();
  void chat.refresh();
  // Streams that failed without a valid key start again.
  for (const card of [...cards].filter(({ job }) => wantsKey(job.error))) {
    cards.delete(card);
    card.element.remove();
  }
  const shown = new Set([...cards].map((card) => card.known.id));
  const known = recall().filter(({ id }) => !shown.has(id));
  for (const each of known.reverse()) addCard(client.attach(each.id), each, null);
  return true;
}

showPlace();
if (!(await enter())) keyForm.ask(recallKey() === null ? '' : KEY_REFUSED);
