/**
 * The form of a workflow, in addition to its JSON: names, prompts and dependencies of the nodes. Members that
 * the form does not show are unchanged.
 */

import { build } from '../build.js';
import { fitHeight } from '../fit-height.js';
import { iconOf } from '../icon.js';
import { connect, freeId, isWorkflow, removeNode, renameNode } from './edit.js';

/** @typedef {import('./edit.js').Workflow} Workflow */
/** @typedef {import('./edit.js').WorkflowNode} WorkflowNode */

/** @type {Record<string, string>} */
const PROMPT_LABELS = { prompt: 'Prompt', map: 'Prompt for each item', crawl: 'Start URL' };

/** @param {WorkflowNode} node */
const typeOf = ({ map, crawl }) => (map ? 'map' : crawl ? 'crawl' : 'prompt');

/** The form of one workflow at a time. */
export class WorkflowForm {
  #root;
  #onChange;
  /** @type {Workflow} */
  #workflow = { nodes: [] };

  /** @param {HTMLElement} root @param {(workflow: Workflow) => void} onChange */
  constructor(root, onChange) {
    this.#root = root;
    this.#onChange = onChange;
  }

  /**
   * @param {unknown} workflow workflow from the JSON
   * @returns {boolean} false: the form cannot show it
   */
  show(workflow) {
    if (!isWorkflow(workflow)) return false;
    this.#workflow = structuredClone(workflow);
    this.#draw();
    return true;
  }

  /** @param {Workflow} workflow */
  #set(workflow, redraw = true) {
    this.#workflow = workflow;
    this.#onChange(workflow);
    if (redraw) this.#draw();
  }

  #draw() {
    const add = build('button', 'add', iconOf('plus'), 'Add a node');
    add.setAttribute('type', 'button');
    add.dataset.testid = 'add-node';
    add.addEventListener('click', () => this.#add());
    const nodes = this.#workflow.nodes.map((node, index) => this.#fields(node, index));
    this.#root.replaceChildren(...nodes, add);
    for (const field of this.#root.querySelectorAll('textarea')) fitHeight(field);
  }

  #add() {
    const { nodes } = this.#workflow;
    const last = nodes.at(-1);
    const node = {
      id: freeId(nodes),
      prompt: last ? `Continue: {{${last.id}.text}}` : '',
      ...(last && { after: [last.id] }),
    };
    this.#set({ ...this.#workflow, nodes: [...nodes, node] });
    this.#field(nodes.length, 'textarea')?.focus();
  }

  /** @param {number} index @param {string} selector @returns {HTMLElement | null | undefined} */
  #field(index, selector) {
    return this.#root.children[index]?.querySelector(selector);
  }

  /** @param {WorkflowNode} node @param {number} index */
  #fields(node, index) {
    const type = typeOf(node);
    const name = /** @type {HTMLInputElement} */ (document.createElement('input'));
    name.type = 'text';
    name.value = node.id;
    name.setAttribute('aria-label', `Name of node ${index + 1}`);
    name.addEventListener('change', () => {
      const renamed = renameNode(this.#workflow, node.id, name.value.trim());
      if (renamed === null) name.value = node.id;
      else this.#set(renamed);
    });
    const remove = build('button', 'icon danger', iconOf('trash'));
    remove.setAttribute('type', 'button');
    remove.setAttribute('aria-label', `Remove ${node.id}`);
    remove.addEventListener('click', () => {
      this.#set(removeNode(this.#workflow, node.id));
      (this.#field(Math.max(0, index - 1), 'input') ?? this.#field(0, 'button'))?.focus();
    });
    const kind = build(
      'span',
      'node-kind',
      type === 'map' ? `for each of ${node.map?.over}` : type,
    );
    return build(
      'div',
      'node-form',
      build('div', 'node-head', name, kind, remove),
      this.#prompt(node, index, type),
      ...(index === 0 ? [] : [this.#dependencies(node)]),
    );
  }

  /** @param {WorkflowNode} node @param {number} index @param {string} type */
  #prompt(node, index, type) {
    const field = document.createElement('textarea');
    field.rows = 1;
    field.value = String(
      { prompt: node.prompt ?? '', map: node.map?.prompt, crawl: node.crawl?.start_url }[type] ??
        '',
    );
    field.setAttribute('aria-label', `${PROMPT_LABELS[type]} of ${node.id}`);
    field.placeholder = PROMPT_LABELS[type];
    // Several messages are edited as JSON.
    field.disabled = type === 'prompt' && node.messages !== undefined;
    field.addEventListener('input', () => {
      fitHeight(field);
      const { value } = field;
      const changed =
        type === 'map'
          ? { map: { ...node.map, prompt: value } }
          : type === 'crawl'
            ? { crawl: { ...node.crawl, start_url: value } }
            : { prompt: value };
      Object.assign(node, changed);
      const nodes = this.#workflow.nodes.map((each, i) => (i === index ? node : each));
      this.#set({ ...this.#workflow, nodes }, false);
    });
    return field;
  }

  /** @param {WorkflowNode} node */
  #dependencies(node) {
    const group = build('div', 'after', build('span', 'after-title', 'after'));
    group.setAttribute('role', 'group');
    group.setAttribute('aria-label', `${node.id} runs after`);
    for (const { id } of this.#workflow.nodes) {
      if (id === node.id) continue;
      const box = document.createElement('input');
      box.type = 'checkbox';
      box.checked = node.after?.includes(id) ?? false;
      box.addEventListener('change', () => {
        this.#set(connect(this.#workflow, id, node.id, box.checked), false);
        node.after = this.#workflow.nodes.find((each) => each.id === node.id)?.after;
      });
      group.append(build('label', 'chip', box, build('span', '', id)));
    }
    return group;
  }
}
