/** Changes of a workflow through its form. Pure functions: each returns a new workflow. */

/**
 * @typedef {{id: string, after?: string[], prompt?: string, messages?: object[],
 *   map?: {over: string, prompt?: string}, crawl?: {start_url?: string},
 *   [member: string]: unknown}} WorkflowNode
 * @typedef {{nodes: WorkflowNode[], [member: string]: unknown}} Workflow
 */

/** @param {any} value @returns {value is Workflow} whether the form can show it */
export function isWorkflow(value) {
  return (
    Array.isArray(value?.nodes) &&
    value.nodes.every(
      (/** @type {any} */ each) =>
        typeof each?.id === 'string' && (each.after === undefined || Array.isArray(each.after)),
    )
  );
}

/** @param {WorkflowNode[]} nodes @returns {string} an unused id */
export function freeId(nodes) {
  for (let i = nodes.length + 1; ; i += 1) {
    if (!nodes.some(({ id }) => id === `node_${i}`)) return `node_${i}`;
  }
}

/**
 * Renames a node, in the dependencies and placeholders of the others, too.
 * @param {Workflow} workflow @param {string} from @param {string} to
 * @returns {Workflow | null} null: the name is empty or taken
 */
export function renameNode(workflow, from, to) {
  if (to === '' || (to !== from && workflow.nodes.some(({ id }) => id === to))) return null;
  const placeholder = new RegExp(`\\{\\{(\\s*)${escaped(from)}(?=[.\\s}])`, 'g');
  const rewrite = (/** @type {string} */ text) =>
    text.replace(placeholder, (_all, space) => `{{${space}${to}`);
  const nodes = workflow.nodes.map((node) => ({
    ...node,
    id: node.id === from ? to : node.id,
    ...(node.after && { after: node.after.map((id) => (id === from ? to : id)) }),
    ...(node.prompt !== undefined && { prompt: rewrite(node.prompt) }),
    ...(node.map && {
      map: {
        ...node.map,
        over: node.map.over === from ? to : node.map.over,
        ...(node.map.prompt !== undefined && { prompt: rewrite(node.map.prompt) }),
      },
    }),
  }));
  return { ...workflow, nodes };
}

/** @param {string} text */
const escaped = (text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** @param {Workflow} workflow @param {string} removed the id of a node */
export function removeNode(workflow, removed) {
  const nodes = workflow.nodes
    .filter(({ id }) => id !== removed)
    .map((node) =>
      node.after ? { ...node, after: node.after.filter((id) => id !== removed) } : node,
    );
  return { ...workflow, nodes };
}

/**
 * @param {Workflow} workflow @param {string} from @param {string} to
 * @param {boolean} on whether `to` runs after `from`
 */
export function connect(workflow, from, to, on) {
  const nodes = workflow.nodes.map((node) => {
    if (node.id !== to) return node;
    const rest = (node.after ?? []).filter((id) => id !== from);
    return { ...node, after: on ? [...rest, from] : rest };
  });
  return { ...workflow, nodes };
}

/**
 * Texts of the boxes in the graph.
 * @param {Workflow} workflow
 * @returns {Map<string, string>} by id
 */
export function labelsOf({ nodes }) {
  return new Map(
    nodes.map(({ id, prompt, map, crawl }) => [
      id,
      String(prompt ?? map?.prompt ?? crawl?.start_url ?? '')
        .replace(/\{\{\s*([^{}]*?)(?:\.text)?\s*\}\}/g, '‹$1›')
        .replace(/\s+/g, ' '),
    ]),
  );
}
