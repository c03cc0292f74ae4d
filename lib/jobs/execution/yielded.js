/** Values that providers yield, read and checked. Pure functions. */
import { providerError } from './failure.js';
import { stringifyExact } from '../../internal/util/exact-json.js';

/**
 * A piece of a call, checked: arguments are text.
 * @typedef {Omit<import('../../providers/shared/types.js').CallPiece, 'arguments'> &
 *   {arguments?: string}} CallPiece
 */

/** A checked value. @typedef {import('../../streams/types.js').EntryInput | {kind: 'call', call: CallPiece}} Piece */

const TAKES = 'a string, {text, logprobs}, {reasoning}, {refusal}, {tool_call} or {extra}';

/** @param {unknown} value @returns {string} its type, for errors */
function typeOf(value) {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/**
 * @param {string} name
 * @param {string} takes
 * @param {unknown} value
 */
function wrong(name, takes, value) {
  return providerError(
    `The provider yielded ${name} of type ${typeOf(value)}; it must be ${takes}.`,
  );
}

/** @param {string} name @param {unknown} value @returns {string} */
function text(name, value) {
  if (typeof value === 'string') return value;
  throw wrong(name, 'a string', value);
}

/** @param {string} name @param {unknown} value @returns {string | undefined} undefined for null, too */
const optionalText = (name, value) =>
  value === undefined || value === null ? undefined : text(name, value);

/** @param {string} name @param {unknown} value @returns {string} */
function json(name, value) {
  try {
    const written = stringifyExact(value);
    if (written !== undefined) return written;
  } catch {
    // A cycle, a BigInt, or a getter that throws.
  }
  throw providerError(`The provider yielded ${name} that cannot be written as JSON.`);
}

/** @param {any} call @returns {CallPiece} */
function callPiece(call) {
  if (typeOf(call) !== 'object') throw wrong('a tool_call', 'an object', call);
  const { index, id, name, arguments: given } = call;
  const hasIndex = index !== undefined && index !== null;
  if (hasIndex && !(Number.isSafeInteger(index) && index >= 0)) {
    throw wrong('a tool_call.index', 'an integer from 0', index);
  }
  return {
    index: hasIndex ? index : undefined,
    id: optionalText('a tool_call.id', id) || undefined,
    name: optionalText('a tool_call.name', name) || undefined,
    arguments:
      typeOf(given) === 'object'
        ? json('a tool_call.arguments', given)
        : (optionalText('a tool_call.arguments', given) ?? ''),
  };
}

/** How each kind is read. @type {Record<string, (value: any) => Piece>} */
const READERS = {
  text: (value) => ({ kind: 'text', text: text('a text', value) }),
  reasoning: (value) => ({ kind: 'reasoning', text: text('a reasoning', value) }),
  refusal: (value) => ({ kind: 'refusal', text: text('a refusal', value) }),
  tool_call: (value) => ({ kind: 'call', call: callPiece(value) }),
  extra(value) {
    if (typeOf(value) !== 'object') throw wrong('an extra', 'an object', value);
    return { kind: 'extra', text: json('an extra', value) };
  },
};

/**
 * @param {any} value that a provider yielded, no string
 * @returns {Piece}
 * @throws {import('../../internal/util/errors.js').SluiceError} that names the value
 */
export function readYielded(value) {
  if (typeOf(value) !== 'object') throw wrong('a value', TAKES, value);
  const { logprobs, ...rest } = value;
  const names = Object.keys(rest).filter((name) => rest[name] !== undefined);
  const [kind] = names;
  const read = names.length === 1 && Object.hasOwn(READERS, kind) ? READERS[kind] : undefined;
  if (read === undefined || (logprobs !== undefined && kind !== 'text')) {
    const all = Object.keys(value).join(', ').slice(0, 200);
    throw providerError(
      `The provider yielded an object with the members "${all}"; it must be ${TAKES}.`,
    );
  }
  const piece = read(rest[kind]);
  if (logprobs === undefined || logprobs === null) return piece;
  return { .../** @type {any} */ (piece), aux: json('logprobs', logprobs) };
}
