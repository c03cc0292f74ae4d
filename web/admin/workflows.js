/** Workflows and crawls, and the graph of one workflow, read again while it runs. */
import { Rows, byTestId, h, number, stateMark, time } from './dom.js';
import { NodeModel } from '../app/workflow/nodes.js';
import { WorkflowGraph } from '../app/workflow/graph.js';

const AGAIN_MS = 2000;

/** @param {Record<string, number>} counts */
const countsOf = (counts = {}) =>
  Object.entries(counts)
    .map(([status, count]) => `${number(count)} ${status}`)
    .join(', ');

/** The section of workflows. The list comes from the feed. */
export class WorkflowTable {
  #context;
  #rows;
  #graph;
  /** @type {Map<string, NodeModel>} */
  #nodes = new Map();
  #id = '';
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {import('./context.js').Context} context */
  constructor(context) {
    this.#context = context;
    this.#graph = new WorkflowGraph(byTestId('graph'), (id) => this.#select(id));
    this.#rows = new Rows(
      byTestId('workflows'),
      [
        {
          title: 'Id',
          class: 'mono',
          head: true,
          cell: ({ id }) => (id.startsWith('wf_') ? h('a', { href: `#workflows/${id}` }, id) : id),
        },
        { title: 'State', cell: ({ status }) => stateMark(status) },
        { title: 'Key', cell: ({ key }) => key },
        { title: 'Attempt', class: 'number', cell: ({ attempt }) => number(attempt) },
        { title: 'Nodes', cell: ({ counts }) => countsOf(counts) },
        { title: 'Created', class: 'time', cell: (each) => time(each.created_at) },
      ],
      ({ id }) => id,
    );
  }

  /** @param {{workflows: any[], crawls: any[]}} state of the feed */
  show({ workflows, crawls }) {
    const all = [...workflows, ...crawls].sort((a, b) => b.created_at - a.created_at);
    this.#rows.show(all);
    byTestId('no-workflows').hidden = all.length > 0;
  }

  /** @param {string} id empty: none */
  open(id) {
    clearTimeout(this.#timer);
    this.#id = id;
    byTestId('workflow').hidden = id === '';
    if (id !== '') void this.#read(id, true);
  }

  /** @param {string} id @param {boolean} isNew */
  async #read(id, isNew) {
    const view = await this.#context.call('GET', `/v1/admin/workflows/${encodeURIComponent(id)}`);
    if (view === undefined || this.#id !== id) return;
    byTestId('workflow-title').textContent = `${id}, ${view.status}, of ${view.key}`;
    const known = isNew ? new Map() : this.#nodes;
    this.#nodes = new Map(
      view.nodes.map((/** @type {any} */ each) => {
        const node = known.get(each.id) ?? new NodeModel(each);
        node.show(each);
        return [node.id, node];
      }),
    );
    if (isNew) this.#graph.show(this.#nodes);
    else this.#graph.draw();
    if (view.status === 'running') {
      this.#timer = setTimeout(() => void this.#read(id, false), AGAIN_MS);
    }
  }

  /** @param {string} id */
  #select(id) {
    this.#graph.mark(id);
    const node = this.#nodes.get(id);
    const note = node?.note ? `, ${node.note}` : '';
    byTestId('node-note').textContent = node
      ? `${node.id}: ${node.type}, ${node.words}, attempt ${node.attempts}${note}`
      : '';
  }
}
