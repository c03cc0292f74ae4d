/**
 * The layout of a graph: the column of a node is its longest path from a root, its row follows the
 * rows of its dependencies. Pure functions, linear in nodes and edges, except for a sort per column.
 */

/** @typedef {{id: string, after?: string[]}} LaidNode */
/** @typedef {{column: number, row: number}} Place */

/**
 * @param {LaidNode[]} nodes without a cycle, checked by the server
 * @returns {Map<string, number>} the column of each
 */
function columnsOf(nodes) {
  /** @type {Map<string, number>} */
  const columns = new Map(nodes.map(({ id }) => [id, 0]));
  /** @type {Map<string, string[]>} */
  const dependants = new Map(nodes.map(({ id }) => [id, []]));
  const waits = new Map(nodes.map(({ id, after = [] }) => [id, after.length]));
  for (const { id, after = [] } of nodes) for (const each of after) dependants.get(each)?.push(id);
  const ready = nodes.filter(({ after = [] }) => after.length === 0).map(({ id }) => id);
  for (const id of ready) {
    const next = (columns.get(id) ?? 0) + 1;
    for (const dependant of dependants.get(id) ?? []) {
      columns.set(dependant, Math.max(columns.get(dependant) ?? 0, next));
      const left = (waits.get(dependant) ?? 0) - 1;
      waits.set(dependant, left);
      if (left === 0) ready.push(dependant);
    }
  }
  return columns;
}

/**
 * The final node: the last one without dependants.
 * @param {LaidNode[]} nodes
 * @returns {string | null} its id; null: there are no nodes
 */
export function lastNode(nodes) {
  const needed = new Set(nodes.flatMap(({ after = [] }) => after));
  return nodes.findLast(({ id }) => !needed.has(id))?.id ?? nodes.at(-1)?.id ?? null;
}

/**
 * @param {LaidNode[]} nodes
 * @returns {{places: Map<string, Place>, columns: number, rows: number}} rows count from 0 and may be
 *   halves: short columns are centred
 */
export function layOut(nodes) {
  const columns = columnsOf(nodes);
  /** @type {LaidNode[][]} */
  const lanes = [];
  for (const node of nodes) (lanes[columns.get(node.id) ?? 0] ??= []).push(node);
  const rows = Math.max(0, ...lanes.map((lane) => lane.length));
  /** @type {Map<string, Place>} */
  const places = new Map();
  lanes.forEach((lane, column) => {
    const wanted = new Map(
      lane.map(({ id, after = [] }) => {
        const above = after.map((each) => places.get(each)?.row ?? 0);
        return [id, above.reduce((sum, row) => sum + row, 0) / Math.max(1, above.length)];
      }),
    );
    const sorted = [...lane].sort((a, b) => (wanted.get(a.id) ?? 0) - (wanted.get(b.id) ?? 0));
    const first = (rows - lane.length) / 2;
    sorted.forEach(({ id }, i) => places.set(id, { column, row: first + i }));
  });
  return { places, columns: lanes.length, rows };
}
