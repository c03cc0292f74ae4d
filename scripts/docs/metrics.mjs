/** The table of metrics of docs/metrics.md, generated from the registry of /metrics. */
import { GatewayMetrics } from '../../lib/gateway/metrics.js';
import { addReadings } from '../../lib/gateway/metric-readings.js';

/**
 * @typedef {object} Metric
 * @property {string} name
 * @property {'counter' | 'gauge' | 'histogram'} type
 * @property {string[]} labels
 * @property {string} help
 * @property {string} [when] the condition for its existence; absent: always
 */

/** @param {Partial<import('../../lib/gateway/metric-readings.js').ReadParts>} parts */
function registered(parts) {
  const hasUpstreams = parts.upstreams !== undefined;
  const { registry } = new GatewayMetrics({ processDefaults: false, hasUpstreams });
  // The values are not read.
  addReadings(registry, /** @type {any} */ (parts));
  return /** @type {any[]} */ (registry.getMetricsAsArray());
}

/** @returns {Metric[]} all metrics of the gateway, without those of the process */
export function metrics() {
  /** @type {[string | undefined, any[]][]} */
  const sets = [
    [undefined, registered({})],
    ['several upstreams', registered({ upstreams: () => [] })],
    ['a data file', registered({ file: /** @type {any} */ ({}) })],
  ];
  /** @type {Map<string, Metric>} */
  const found = new Map();
  for (const [when, each] of sets) {
    for (const { name, help, labelNames: labels, constructor } of each) {
      if (found.has(name)) continue;
      const type = /** @type {Metric['type']} */ (constructor.name.toLowerCase());
      found.set(name, { name, help, type, labels: [...labels], ...(when && { when }) });
    }
  }
  return [...found.values()];
}

/** @returns {string} Markdown */
export function metricTable() {
  const rows = metrics().map(({ name, type, labels, help, when }) => {
    const only = when === undefined ? '' : ` With ${when} only.`;
    return [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), help + only];
  });
  return [['metric', 'type', 'labels', 'meaning'], ['---', '---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
    .concat('\n');
}
