/**
 * The direction of dependencies, see docs/architecture.md. Each list goes from the bottom
 * up; a folder imports from folders of lower layers, but not from siblings in its own layer.
 */

/** Folders of lib/. */
export const LIB_LAYERS = [
  ['internal'],
  ['streams', 'providers', 'primitives', 'conformance'],
  ['jobs'],
  ['cluster'],
  ['services'],
  ['http'],
  ['gateway'],
  ['cli'],
];

/** Folders of native/. `core/crawl` paces its requests with the token bucket of `core/limits`. */
export const NATIVE_LAYERS = [
  ['core/base'],
  ['core/containers', 'core/redis', 'core/sse'],
  ['core/limits'],
  ['core/cache', 'core/crawl', 'core/kv', 'core/ledger', 'core/scheduling'],
  ['core/logs/errors', 'core/logs/input', 'core/logs/line', 'core/logs/pattern'],
  ['core/logs/grouping'],
  ['core/logs'],
  ['core/streams'],
  ['core/faces', 'core/upstream/openai'],
  ['core/upstream'],
  ['core/replication'],
  ['runtime/loop'],
  ['runtime/net'],
  ['runtime/upstream', 'runtime/storage', 'runtime/redis'],
  ['addon/napi'],
  ['addon/bindings/redis', 'addon/bindings/storage'],
  [
    'addon/bindings/cache',
    'addon/bindings/crawl',
    'addon/bindings/kv',
    'addon/bindings/ledger',
    'addon/bindings/limits',
    'addon/bindings/logs',
    'addon/bindings/scheduling',
    'addon/bindings/streams',
  ],
  ['addon'],
];

/**
 * @param {string[][]} layers
 * @param {string} from a folder
 * @param {string} to a folder
 * @returns {string | undefined} the violation of an import of `to` by `from`, if any
 */
export function problemOf(layers, from, to) {
  const rank = (/** @type {string} */ folder) =>
    layers.findIndex((layer) => layer.includes(folder));
  if (from === to) return undefined;
  if (rank(from) === -1) return `${from} is in no layer of scripts/lint/layers.mjs`;
  if (rank(to) === -1) return `${to} is in no layer of scripts/lint/layers.mjs`;
  if (rank(from) > rank(to)) return undefined;
  return `${from} must not depend on ${to}`;
}
