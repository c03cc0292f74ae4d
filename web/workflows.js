/**
 * The workflow page. It reads a workflow as JSON, runs it, draws its graph as it runs, and shows the
 * text of each node. The fragment of the URL names the workflow, so that a reload restores it.
 */

import { Announcer } from './app/announcer.js';
import { KeyForm, recallKey } from './app/key-form.js';
import { NodeModel } from './app/workflow-nodes.js';
import { TextPane } from './app/text-pane.js';
import { WorkflowGraph } from './app/workflow-graph.js';
import { WorkflowStream } from './app/workflow-stream.js';
import { Http, randomKey } from './client/http.js';
import { nextFrame } from './app/frame.js';
import { plural } from './app/format.js';
import { samples } from './app/workflow-samples.js';

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
const pane = new TextPane(byTestId('text'));
const announcer = new Announcer(byTestId('announcer'));
const graph = new WorkflowGraph(byTestId('graph'), (id) => select(id));
/** @param {string} name */
const part = (name) => /** @type {HTMLElement} */ (detail.querySelector(`[data-part=${name}]`));

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
  /** The part of the selected node's text that the pane shows. */
  written: '',
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
  title.textContent = status === 'idle' ? 'No workflow yet' : `Workflow ${status}`;
  const done = [...nodes.values()].filter(({ state }) => state === 'completed').length;
  byTestId('count').textContent =
    nodes.size === 0 ? '' : `${done} of ${plural(nodes.size, 'node')} done`;
  cancel.disabled = status !== 'running';
  retry.disabled = !['failed', 'cancelled'].includes(status);
  byTestId('empty').hidden = nodes.size > 0;
  byTestId('graph').hidden = nodes.size === 0;
  graph.draw();
  drawDetail();
}

function drawDetail() {
  const node = shown.selected === null ? undefined : shown.nodes.get(shown.selected);
  detail.hidden = node === undefined;
  if (node === undefined) return;
  const { id, type, state, attempts, note, text } = node;
  part('title').textContent = id;
  const tries = attempts > 1 ? `, attempt ${attempts}` : '';
  part('state').textContent = `${type === 'prompt' ? '' : `${type}, `}${state}${tries}`;
  part('note').textContent = note;
  if (text === shown.written) return;
  // A text that has only grown is extended in place.
  if (text.startsWith(shown.written)) {
    pane.append(text.slice(shown.written.length));
  } else {
    pane.clear();
    pane.append(text);
  }
  shown.written = text;
}

/** @param {string | null} id */
function select(id) {
  shown.selected = id;
  shown.written = '';
  pane.clear();
  graph.mark(id);
  drawDetail();
}

/** @param {any} view of `GET /v1/workflows/{id}` */
function show(view) {
  shown.stream?.close();
  shown.id = view.workflow_id;
  shown.status = view.status;
  shown.nodes = new Map(
    view.nodes.map((/** @type {any} */ each) => {
      const node = new NodeModel(each);
      node.show(each);
      return [node.id, node];
    }),
  );
  history.replaceState(null, '', `#${shown.id}`);
  graph.show(shown.nodes);
  select(shown.nodes.has(shown.selected ?? '') ? shown.selected : null);
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
 * @returns {Promise<any>} with all of them
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

async function submit() {
  byTestId('problem').textContent = '';
  let body;
  try {
    body = JSON.parse(source.value);
  } catch (error) {
    byTestId('problem').textContent = `This is not JSON: ${/** @type {Error} */ (error).message}`;
    source.focus();
    return;
  }
  run.disabled = true;
  try {
    const headers = { 'idempotency-key': randomKey() };
    const created = await http.call('POST', '/v1/workflows', { body, headers });
    show(await read(created.workflow_id));
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
source.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  void submit();
});
sample.addEventListener('change', () => useSample(Number(sample.value)));
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

/** @param {number} index */
function useSample(index) {
  source.value = JSON.stringify(samples[index].workflow, null, 2);
}

samples.forEach(({ name }, i) => sample.append(new Option(name, String(i))));
// Text typed before this script loaded stays.
if (source.value === '') useSample(0);

const known = location.hash.slice(1);
if (/^wf_[\w-]+$/.test(known)) {
  try {
    show(await read(known));
  } catch (error) {
    // The workflow has been purged: the page starts empty.
    if (/** @type {any} */ (error).status === 404) {
      history.replaceState(null, '', location.pathname);
    } else fail(error);
  }
}
