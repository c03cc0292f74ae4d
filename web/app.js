/**
 * The demo page. It submits prompts, shows their jobs side by side, drops and restores connections,
 * restores its jobs after a reload, and asks for a key if the server requires one. The fragment of
 * the URL selects the view: the jobs, a conversation (`#conv_...`), or a new one (`#new`).
 */

import { Announcer } from './app/announcer.js';
import { Chat } from './app/chat.js';
import { Composer } from './app/composer.js';
import { plural } from './app/format.js';
import { nextFrame } from './app/frame.js';
import { JobCard } from './app/job-card.js';
import { KeyForm, recallKey } from './app/key-form.js';
import { forget, recall, remember } from './app/memory.js';
import { Places } from './app/places.js';
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
const client = createClient({ multiplex: true, apiKey: recallKey() ?? undefined });

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

/** @param {import('./app/composer.js').PromptRequest[]} requests @returns {Promise<unknown[]>} */
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

const places = new Places(/** @type {HTMLElement} */ (document.querySelector('.places')), client);
const chat = new Chat(/** @type {HTMLElement} */ (document.querySelector('#chat')), {
  client,
  template: /** @type {HTMLTemplateElement} */ (document.querySelector('template#message')),
  say: (message) => announcer.say(message),
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

/** Shows the view that the fragment of the URL selects. */
function showPlace() {
  const [, id] = /^#(conv_[\w-]+)$/.exec(location.hash) ?? [];
  const chats = id !== undefined || location.hash === '#new';
  byTestId('page').dataset.view = chats ? 'chat' : 'jobs';
  chat.section.hidden = !chats;
  /** @type {HTMLElement} */ (document.querySelector('#jobs')).hidden = chats;
  composer.setSingle(chats);
  places.setCurrent(id === undefined ? location.hash || '#jobs' : `#${id}`);
  if (!chats) chat.close();
  else if (id === undefined || id !== chat.id) void chat.open(id ?? null);
  nextFrame(drawPage);
}

const composer = new Composer(
  /** @type {HTMLFormElement} */ (byTestId('composer')),
  async (requests) => {
    if (byTestId('page').dataset.view === 'jobs') return submitAll(requests);
    const errors = await chat.send(requests[0]);
    if (errors.some(wantsKey)) keyForm.ask(KEY_REFUSED);
    return errors;
  },
);
addEventListener('hashchange', showPlace);
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState !== 'visible') return;
  void places.refresh();
  void chat.refresh();
});
const keyForm = new KeyForm(/** @type {HTMLFormElement} */ (byTestId('key-form')), async (key) => {
  client.setApiKey(key);
  if (!(await enter())) return KEY_REFUSED;
  byTestId('prompt').focus();
  return '';
});

/** Loads models, conversations and jobs. Resolves to false if the server requires another key. */
async function enter() {
  try {
    composer.setModels(await client.models());
    composer.setProblem('');
  } catch (error) {
    if (wantsKey(error)) return false;
    composer.setModels([]);
    composer.setProblem(`The server did not answer: ${/** @type {Error} */ (error).message}.`);
  }
  void places.refresh();
  showPlace();
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

if (!(await enter())) keyForm.ask(recallKey() === null ? '' : KEY_REFUSED);
