/**
 * Converts rows of tokens in the data file to an answer. Pure functions.
 * native/runtime/storage/store_schema.cc describes the columns.
 */
import { EntryKind } from '../../streams/entry-kinds.js';

/** @typedef {import('../../streams/types.js').ToolCall} ToolCall */
/**
 * @typedef {[seq: number, count: number, text: Buffer, ends: Buffer, kinds: Buffer | null, aux: Buffer | null]}
 *   TokenRow
 */

const NUMBER_BYTES = 4;
const HAS_AUX = 8;

/**
 * @param {TokenRow[]} rows
 * @returns {Generator<{kind: number, text: Buffer, aux: Buffer | undefined}>}
 */
function* entriesOf(rows) {
  for (const [, count, text, ends, kinds, auxes] of rows) {
    let from = 0;
    let auxAt = 0;
    for (let i = 0; i < count; i += 1) {
      const end = ends.readUInt32LE(i * NUMBER_BYTES);
      // The first number of `kinds` is the count of earlier tool calls.
      const mark = kinds?.[NUMBER_BYTES + i] ?? EntryKind.text;
      let aux;
      if ((mark & HAS_AUX) !== 0 && auxes !== null) {
        const bytes = auxes.readUInt32LE(auxAt);
        aux = auxes.subarray(auxAt + NUMBER_BYTES, auxAt + NUMBER_BYTES + bytes);
        auxAt += NUMBER_BYTES + bytes;
      }
      yield { kind: mark & ~HAS_AUX, text: text.subarray(from, end), aux };
      from = end;
    }
  }
}

/**
 * The answer in the form of a job's state; with reasoning, refusal and tool calls if present.
 * @param {any[][]} rows
 * @returns {{text: string, reasoning?: string, refusal?: string, tool_calls?: ToolCall[]}}
 */
export function answerOf(rows) {
  /** @type {Map<number, Buffer[]>} */
  const texts = new Map();
  /** @type {{id: string, name: string, texts: Buffer[]}[]} */
  const calls = [];
  for (const { kind, text, aux } of entriesOf(/** @type {TokenRow[]} */ (rows))) {
    if (kind === EntryKind.tool_call) {
      calls.push({ id: String(text), name: String(aux ?? ''), texts: [] });
    } else if (kind === EntryKind.tool_arguments) {
      calls.at(-1)?.texts.push(text);
    } else {
      const ofKind = texts.get(kind) ?? [];
      texts.set(kind, ofKind);
      ofKind.push(text);
    }
  }
  // Tokens end at character boundaries, so joining them as bytes is lossless.
  const joined = (/** @type {Buffer[]} */ parts = []) => Buffer.concat(parts).toString();
  const [reasoning, refusal] = [EntryKind.reasoning, EntryKind.refusal].map((kind) =>
    joined(texts.get(kind)),
  );
  const toolCalls = calls.map((call) => ({
    id: call.id,
    type: /** @type {const} */ ('function'),
    function: { name: call.name, arguments: joined(call.texts) },
  }));
  return {
    text: joined(texts.get(EntryKind.text)),
    ...(reasoning !== '' && { reasoning }),
    ...(refusal !== '' && { refusal }),
    ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
  };
}
