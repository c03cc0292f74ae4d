/**
 * The frames for the steps of an assistant's message before the request that continues it. A page
 * that was loaded again gets the message from its start. Pure functions.
 */
import { stringifyExact } from '../../../internal/util/exact-json.js';

/** @typedef {Record<string, any>} Part of a UIMessage */
/** @typedef {Record<string, unknown>} Chunk of the UI message stream */

/** Parts whose chunk has the same members. */
const SAME_AS_CHUNK = /^(file|source-url|source-document|data-.+)$/s;

/** @param {Part} part @param {string} id @returns {Chunk[]} */
function textChunks({ type, text }, id) {
  return [
    { type: `${type}-start`, id },
    { type: `${type}-delta`, id, delta: String(text ?? '') },
    { type: `${type}-end`, id },
  ];
}

/**
 * The input of a call that has an output is sent as a delta: for an available input a page would
 * run the tool again.
 * @param {Part} part
 * @returns {Chunk[]}
 */
function toolChunks(part) {
  const { type, toolCallId, state, input, rawInput, output, errorText, providerExecuted } = part;
  const dynamic = type === 'dynamic-tool';
  const toolName = dynamic ? part.toolName : type.slice('tool-'.length);
  const call = {
    ...{ toolCallId, toolName },
    ...(dynamic && { dynamic }),
    ...(providerExecuted !== undefined && { providerExecuted }),
  };
  const start = { type: 'tool-input-start', ...call };
  const given = {
    type: 'tool-input-delta',
    toolCallId,
    inputTextDelta: stringifyExact(input ?? {}),
  };
  switch (state) {
    case 'input-available':
      return [start, { type: 'tool-input-available', ...call, input }];
    case 'output-available':
      return [start, given, { type: 'tool-output-available', toolCallId, output }];
    case 'output-error':
      return input === undefined
        ? [start, { type: 'tool-input-error', ...call, input: rawInput, errorText }]
        : [start, given, { type: 'tool-output-error', toolCallId, errorText }];
    default:
      return [start, given];
  }
}

/**
 * @param {readonly Part[]} parts of the message
 * @returns {Chunk[]}
 */
function chunksOf(parts) {
  let isOpen = false;
  const chunks = parts.flatMap((part, i) => {
    const { type } = part;
    if (type === 'step-start') {
      const before = isOpen ? [{ type: 'finish-step' }] : [];
      isOpen = true;
      return [...before, { type: 'start-step' }];
    }
    if (type === 'text' || type === 'reasoning') return textChunks(part, `earlier-${i}`);
    if (type === 'dynamic-tool' || type.startsWith('tool-')) return toolChunks(part);
    return SAME_AS_CHUNK.test(type) ? [part] : [];
  });
  return isOpen ? [...chunks, { type: 'finish-step' }] : chunks;
}

/** The position at which a reader of a chat continues. */
export const CURSOR = /^(\d{0,15}|1\.\d{1,9})$/;

/**
 * The frames are inserted after the first one of the answer, `start`, and have separate ids:
 * `1.1`, `1.2`, ... A page that sent the request already has these steps, and only ids of the answer.
 * @param {readonly Part[]} parts of the message
 * @param {string} cursor id of the reader's last frame; empty: none
 * @returns {string} the missing frames
 */
export function earlierFrames(parts, cursor) {
  const [, from = cursor === '' ? '0' : undefined] = /^1\.(\d+)$/.exec(cursor) ?? [];
  if (from === undefined) return '';
  return chunksOf(parts)
    .map((chunk, i) => `id: 1.${i + 1}\ndata: ${stringifyExact(chunk)}\n\n`)
    .slice(Number(from))
    .join('');
}
