/**
 * The workflow page. A form or JSON describes a workflow; the page runs it, draws its graph as it runs,
 * and shows the text of one node, the last one unless the reader selects another. The fragment of the
 * URL names the workflow, so that a reload restores it.
 */

import { Announcer } from './app/announcer.js';
import { Banner } from './app/banner.js';
import { copyText } from './app/clipboard.js';
import { KeyForm, recallKey } from './app/key-form.js';
import { NodeModel } from './app/workflow/nodes.js';
import { MarkdownPane } from './app/markdown.js';
import { WorkflowGraph } from './app/workflow/graph.js';
import { WorkflowForm } from './app/workflow/form.js';
import { isWorkflow, labelsOf } from './app/workflow/edit.js';
import { lastNode } from './app/workflow/layout.js';
import { WorkflowStream } from './app/workflow/stream.js';
import { Http, randomKey } from './client/http.js';
import { nextFrame } from './app/frame.js';
import { plural } from './app/format.js';
import { samples } from './app/workflow/samples.js';

/** @template {HTMLElement} T @param {string} name @returns {T} */
const byTestId = (name) => /** @type {any} */ (document.querySelector(`[data-testid=${name}]`));

const http = new Http('', globalThis.fetch.bind(globalThis));
http.setApiKey(recallKey());

const composer = byTestId('composer');
const source = /** @type {HTMLTextAreaElement} */ (byTestId('source'));
const sample = /** @type {HTMLSelectElement} */ (byTestId('sample'));
const run = /** @type {HTMLButtonElement} */ (byTestId('run'));
const cancel = /** @type {HTMLButtonElement} */ (byTestId('cancel'));
const retry = /** @type {HTMLButtonElement} */ (byTestId('retry'));
const detail = byTestId('detail');
const pane = new MarkdownPane(byTestId('text'));
const announcer = new Announcer(byTestId('announcer'));
const graph = new WorkflowGraph(byTestId('graph'), (id) => {
  shown.chosen = true;
  select(id);
});
const form = new WorkflowForm(byTestId('form'), (workflow) => {
  source.value = JSON.stringify(workflow, null, 2);
  if (shown.status === 'idle') preview(workflow);
});
const banner = new Banner(byTestId('banner'), (text) => {
  void copyText(text).then((copied) => announcer.say(copied ? 'Copied.' : 'Not copied.'));
});
/** @param {string} name */
const part = (name) => /** @type {HTMLElement} */ (detail.querySelector(`[data-part=${name}]`));

/** @type {Record<string, string>} */
const TITLES = {
  running: 'Running',
  completed: 'Completed',
  failed: 'Failed',
  cancelled: 'Cancelled',
};
/** Storage key of the last workflow, for a reload of this tab. */
const STORE = 'sluice.workflow';
const KEY_REFUSED = 'The server does not accept this key.';

/** The state of the page. */
const shown = {
  id: '',
  /** @type {string} */
  status: 'idle',
  /** @type {Map<string, NodeModel>} */
  nodes: new Map(),
  /** @type {string | null} */
  selected: null,
  /** Whether the reader has selected it. */
  chosen: false,
  /** @type {WorkflowStream | null} */
  stream: null,
};

/** @param {unknown} error */
function fail(error) {
  const { status, message, param } = /** @type {any} */ (error);
  if (status === 401) keyForm.ask(recallKey() === null ? '' : KEY_REFUSED);
  byTestId('problem').textContent = param ? `${message} (${param})` : String(message);
}

function draw() {
  const { status, nodes } = shown;
  const title = byTestId('state');
  title.dataset.state = status;
  title.textContent = status === 'idle' ? 'Not run yet' : (TITLES[status] ?? status);
  const done = [...nodes.values()].filter(({ state }) => state === 'completed').length;
  byTestId('count').textContent =
    nodes.size === 0 || status === 'idle' ? '' : `${done} of ${plural(nodes.size, 'node')} done`;
  cancel.disabled = status !== 'running';
  retry.disabled = !['failed', 'cancelled'].includes(status);
  byTestId('empty').hidden = status !== 'idle';
  byTestId('graph').hidden = nodes.size === 0;
  graph.draw();
  drawDetail();
}

function drawDetail() {
  const isIdle = shown.status === 'idle';
  const node = shown.selected === null || isIdle ? undefined : shown.nodes.get(shown.selected);
  detail.hidden = node === undefined;
  if (node === undefined) return;
  const { id, type, state, attempts, note, text } = node;
  part('title').textContent =
    id === lastNode([...shown.nodes.values()]) ? `${id}, the last node` : id;
  const tries = attempts > 1 ? `, attempt ${attempts}` : '';
  part('state').textContent = `${type === 'prompt' ? '' : `${type}, `}${state}${tries}`;
  part('note').textContent = note;
  pane.set(text, state === 'running');
}

/** @param {string | null} id */
function select(id) {
  shown.selected = id;
  graph.mark(id);
  drawDetail();
}

/** @param {string} id @returns {import('./app/workflow/edit.js').Workflow | null} if this tab ran it */
function recall(id) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORE) ?? 'null');
    return kept?.id === id ? kept.workflow : null;
  } catch {
    return null; // storage disabled, or in another format
  }
}

/** @param {string} id @param {unknown} workflow */
function remember(id, workflow) {
  try {
    sessionStorage.setItem(STORE, JSON.stringify({ id, workflow }));
  } catch {
    // Without storage only the labels are missing after a reload.
  }
}

/** @param {any} view of `GET /v1/workflows/{id}` */
function show(view) {
  shown.stream?.close();
  shown.id = view.workflow_id;
  shown.status = view.status;
  const workflow = recall(view.workflow_id);
  const labels = workflow === null ? new Map() : labelsOf(workflow);
  shown.nodes = new Map(
    view.nodes.map((/** @type {any} */ each) => {
      const node = new NodeModel(each);
      node.label = labels.get(node.id) ?? '';
      node.show(each);
      return [node.id, node];
    }),
  );
  history.replaceState(null, '', `#${shown.id}`);
  graph.show(shown.nodes);
  shown.chosen = shown.chosen && shown.nodes.has(shown.selected ?? '');
  select(shown.chosen ? shown.selected : lastNode([...shown.nodes.values()]));
  draw();
  if (shown.status === 'running') follow();
}

function follow() {
  const { id, nodes } = shown;
  shown.stream = new WorkflowStream(http, id, {
    event: (type, data) => onEvent(nodes, type, data),
    end: () => {
      for (const node of nodes.values()) node.stop();
      announcer.say(`Workflow ${shown.status}`);
      nextFrame(draw);
    },
    lost: fail,
  });
}

/** @param {Map<string, NodeModel>} nodes @param {string} type @param {any} data */
function onEvent(nodes, type, data) {
  const node = nodes.get(data.node);
  if (type === 'node_started' && !shown.chosen) graph.reveal(data.node);
  if (node?.apply(type, data) && type.startsWith('node_') && type !== 'node_progress') {
    announcer.say(`${node.id} ${node.state}`);
  }
  if (type === 'workflow_complete') shown.status = 'completed';
  if (type === 'workflow_failed') shown.status = 'failed';
  if (type === 'workflow_cancelled') shown.status = 'cancelled';
  nextFrame(draw);
}

/**
 * @param {any} view a workflow with the first page of its nodes
 * @returns {Promise<any>} the view with all nodes
 */
async function whole(view) {
  for (let page = view; page.has_more; view.nodes.push(...page.nodes)) {
    const after = encodeURIComponent(page.nodes.at(-1).id);
    page = await http.call('GET', `/v1/workflows/${view.workflow_id}?after=${after}`);
  }
  return view;
}

/** @param {string} id */
const read = async (id) => whole(await http.call('GET', `/v1/workflows/${id}`));

/** @returns {unknown} the workflow; undefined: the text is not JSON, which the page reports */
function readSource() {
  byTestId('problem').textContent = '';
  try {
    return JSON.parse(source.value);
  } catch (error) {
    byTestId('problem').textContent = `This is not JSON: ${/** @type {Error} */ (error).message}`;
    source.focus();
    return undefined;
  }
}

async function submit() {
  const body = readSource();
  if (body === undefined) return;
  run.disabled = true;
  try {
    const headers = { 'idempotency-key': randomKey() };
    const created = await http.call('POST', '/v1/workflows', { body, headers });
    remember(created.workflow_id, body);
    shown.chosen = false;
    show(await read(created.workflow_id));
    // On a narrow screen the graph is below the form.
    const { top, bottom } = byTestId('graph').getBoundingClientRect();
    if (top < 0 || bottom > innerHeight) {
      document.querySelector('.run')?.scrollIntoView({ block: 'start', behavior: 'smooth' });
    }
  } catch (error) {
    fail(error);
  } finally {
    run.disabled = false;
  }
}

composer.addEventListener('submit', (event) => {
  event.preventDefault();
  void submit();
});
composer.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  void submit();
});
sample.addEventListener('change', () => useSample(Number(sample.value)));
composer.addEventListener('change', (event) => {
  const { name, value } = /** @type {HTMLInputElement} */ (event.target);
  if (name === 'view') setView(/** @type {'form' | 'json'} */ (value));
});
cancel.addEventListener('click', () => {
  http.call('POST', `/v1/workflows/${shown.id}/cancel`).catch(fail);
});
retry.addEventListener('click', () => {
  http.call('POST', `/v1/workflows/${shown.id}/retry`).then(whole).then(show, fail);
});

const keyForm = new KeyForm(/** @type {HTMLFormElement} */ (byTestId('key-form')), async (key) => {
  http.setApiKey(key);
  try {
    await http.call('GET', '/v1/workflows?limit=1');
  } catch {
    return KEY_REFUSED;
  }
  byTestId('problem').textContent = '';
  return '';
});

/** @param {'form' | 'json'} view */
function setView(view) {
  const workflow = view === 'form' ? readSource() : undefined;
  const fits = view === 'form' && workflow !== undefined && form.show(workflow);
  if (view === 'form' && workflow !== undefined && !fits) {
    byTestId('problem').textContent = 'The form shows {"nodes": [...]}, each with an "id".';
  }
  const shows = fits ? 'form' : 'json';
  byTestId('form').hidden = shows !== 'form';
  byTestId('json').hidden = shows !== 'json';
  /** @type {HTMLInputElement} */ (composer.querySelector(`[name=view][value=${shows}]`)).checked =
    true;
}

/** Draws the graph of a workflow that has not run. @param {unknown} workflow */
function preview(workflow) {
  if (!isWorkflow(workflow)) return;
  const labels = labelsOf(workflow);
  // The server reports details of unknown nodes and cycles at the run.
  const ids = new Set(workflow.nodes.map(({ id }) => id));
  shown.nodes = new Map(
    workflow.nodes.map((each) => {
      const node = new NodeModel({
        ...each,
        after: (each.after ?? []).filter((id) => ids.has(id)),
      });
      node.label = labels.get(node.id) ?? '';
      return [node.id, node];
    }),
  );
  graph.show(shown.nodes);
  draw();
}

/** @param {object} workflow */
function edit(workflow) {
  source.value = JSON.stringify(workflow, null, 2);
  form.show(workflow);
}

/** @param {number} index */
function useSample(index) {
  edit(samples[index].workflow);
  if (shown.status === 'running') return;
  shown.status = 'idle';
  shown.selected = null;
  shown.chosen = false;
  history.replaceState(null, '', location.pathname);
  preview(samples[index].workflow);
}

try {
  banner.show((await http.call('GET', '/v1/models')).data);
} catch {
  // The page works without the notice.
} finally {
  document.body.dataset.ready = '';
}
samples.forEach(({ name }, i) => sample.append(new Option(name, String(i))));
// Browsers restore the text of a field after a reload.
if (source.value === '') {
  edit(samples[0].workflow);
  if (!location.hash) preview(samples[0].workflow);
} else setView('form');

const known = location.hash.slice(1);
if (/^wf_[\w-]+$/.test(known)) {
  const workflow = recall(known);
  if (workflow !== null) edit(workflow);
  try {
    show(await read(known));
  } catch (error) {
    // The workflow has been purged: the page starts empty.
    if (/** @type {any} */ (error).status === 404) {
      history.replaceState(null, '', location.pathname);
    } else fail(error);
  }
}
