/** Converts chat messages and tools to those of node-llama-cpp. Pure functions. */
import { parameterSchema } from './parameter-schema.js';
import { requestRefusal } from '../shared/errors.js';
import { rounded } from '../../internal/util/exact-json.js';
import { textOf } from '../shared/messages.js';

/** @typedef {import('../shared/messages.js').ChatMessage} ChatMessage */
/** @typedef {import('node-llama-cpp').ChatHistoryItem} HistoryItem */
/** @typedef {import('node-llama-cpp').ChatModelFunctionCall} HistoryCall */

/**
 * @typedef {object} Tools that the model may call
 * @property {import('node-llama-cpp').ChatModelFunctions} functions by name
 * @property {boolean} isForced whether the answer begins with a call
 * @property {number} [callsMax] default: unlimited
 */

/** Valid names in a grammar. */
const NAME = /^[\w.:/-]{1,128}$/;

/** @param {string} json @returns {unknown} the text itself if it is not JSON */
function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

/** @param {any} call of an assistant's message @returns {HistoryCall} a call, whose result follows later */
function historyCall({ function: called }) {
  const { name, arguments: given = '{}' } = called ?? {};
  const params = typeof given === 'string' ? parsed(given || '{}') : given;
  return { type: 'functionCall', name: String(name ?? ''), params, result: undefined };
}

/**
 * The model's response to which the assistant's next message belongs: the previous one if it
 * ends with calls and their results.
 * @param {HistoryItem[]} items receives a new one
 * @returns {import('node-llama-cpp').ChatModelResponse['response']}
 */
function responseOf(items) {
  const last = items.at(-1);
  const end = last?.type === 'model' ? last.response.at(-1) : undefined;
  if (last?.type === 'model' && typeof end === 'object') return last.response;
  /** @type {import('node-llama-cpp').ChatModelResponse} */
  const item = { type: 'model', response: [] };
  items.push(item);
  return item.response;
}

/**
 * @param {readonly ChatMessage[]} messages
 * @returns {HistoryItem[]} the last item is the response that the model starts or continues
 */
export function historyOf(messages) {
  /** @type {HistoryItem[]} */
  const items = [];
  /** Calls without a result, by their ids. @type {Map<string, HistoryCall>} */
  const open = new Map();
  for (const message of messages) {
    const { role, tool_calls: calls, tool_call_id: id, name } = message;
    const { function_call: older } = /** @type {{function_call?: object}} */ (message);
    const text = textOf(message);
    if (role === 'assistant') {
      const response = responseOf(items);
      if (text !== '') response.push(text);
      const all = [
        ...(calls ?? []),
        ...(older ? [{ id: `function ${name}`, function: older }] : []),
      ];
      all.forEach((call, i) => {
        const made = { ...historyCall(call), ...(i === 0 && { startsNewChunk: true }) };
        open.set(older ? `function ${made.name}` : String(call.id), made);
        response.push(made);
      });
    } else if (role === 'tool' || role === 'function') {
      const key = role === 'function' ? `function ${name}` : String(id);
      const call = open.get(key);
      open.delete(key);
      if (call !== undefined) call.result = parsed(text);
      // The result of a call that is missing in the history.
      else items.push({ type: 'user', text });
    } else if (role === 'system' || role === 'developer') items.push({ type: 'system', text });
    else items.push({ type: 'user', text });
  }
  responseOf(items);
  return items;
}

/** @param {any} tool @param {string} at @returns {any} its function */
function functionOf(tool, at) {
  const { type = 'function', function: given } = tool ?? {};
  if (type !== 'function') {
    const param = `${at}.type`;
    const message = `${param} must be function: the provider llama runs no other tools.`;
    throw requestRefusal(message, { code: 'unsupported_tool', param });
  }
  return named(given, `${at}.function`);
}

/** @param {unknown} given @param {string} param @returns {unknown[]} */
function listOf(given, param) {
  if (given === undefined || given === null) return [];
  if (Array.isArray(given)) return given;
  throw requestRefusal(`${param} must be an array.`, { code: 'invalid_type', param });
}

/** @param {any} given @param {string} at @returns {any} the same value */
function named(given, at) {
  if (typeof given?.name === 'string' && NAME.test(given.name)) return given;
  const param = `${at}.name`;
  const message = `${param} must be 1 to 128 letters, digits and characters of "_-.:/".`;
  throw requestRefusal(message, { code: 'invalid_value', param });
}

/**
 * @param {any} choice `tool_choice` or `function_call` of a request
 * @param {string} param its name
 * @param {readonly string[]} names of the functions
 * @returns {{names: readonly string[], isForced: boolean}} the callable functions
 */
function chosen(choice, param, names) {
  if (choice === undefined || choice === null || choice === 'auto') {
    return { names, isForced: false };
  }
  if (choice === 'none') return { names: [], isForced: false };
  if (choice === 'required') return { names, isForced: true };
  const { mode, tools } = choice.allowed_tools ?? {};
  const one = choice.function?.name ?? choice.name;
  const allowed = Array.isArray(tools) ? tools.map((tool) => tool?.function?.name) : [one];
  if (allowed.length === 0 || !allowed.every((name) => names.includes(name))) {
    throw requestRefusal(`${param} must name one of the functions.`, {
      code: 'invalid_value',
      param,
    });
  }
  return { names: allowed, isForced: Array.isArray(tools) ? mode === 'required' : true };
}

/**
 * @param {Record<string, any>} body members of the request that the gateway does not interpret
 * @returns {Tools | undefined} undefined: the model may not call functions
 * @throws {import('../shared/errors.js').ProviderError} naming the member
 */
export function toolsOf(body) {
  const { tools, functions, tool_choice: choice, function_call: older } = rounded(body);
  const newer = listOf(tools, 'tools');
  const isOlder = newer.length === 0;
  const given = isOlder ? listOf(functions, 'functions') : newer;
  /** @type {Record<string, any>[]} */
  const all = given.map((each, i) =>
    isOlder ? named(each, `functions[${i}]`) : functionOf(each, `tools[${i}]`),
  );
  if (all.length === 0) return undefined;
  const names = all.map(({ name }) => name);
  const param = isOlder ? 'function_call' : 'tool_choice';
  const { names: allowed, isForced } = chosen(isOlder ? older : choice, param, names);
  const usable = all.filter(({ name }) => allowed.includes(name));
  if (usable.length === 0) return undefined;
  const isSingle = isOlder || body.parallel_tool_calls === false;
  return {
    functions: Object.fromEntries(
      usable.map(({ name, description, parameters }) => {
        const params = parameterSchema(parameters);
        const about = typeof description === 'string' && { description };
        return [name, { ...about, ...(params && { params: /** @type {any} */ (params) }) }];
      }),
    ),
    isForced,
    ...(isSingle && { callsMax: 1 }),
  };
}
