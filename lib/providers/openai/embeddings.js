/** Calls of an OpenAI-compatible server's `/embeddings`. */
import {
  disconnectedError,
  invalidResponse,
  stalledError,
  statusError,
  unreachableError,
} from './errors.js';
import { stringifyExact } from '../../internal/util/exact-json.js';

/** @typedef {import('./connections.js').UpstreamConnections} UpstreamConnections */
/** @typedef {import('../shared/types.js').EmbeddingCall} EmbeddingCall */
/** @typedef {import('../shared/types.js').EmbeddingAnswer} EmbeddingAnswer */

/** Size of 2048 vectors of 4096 decimal numbers. */
const BODY_BYTES_MAX = 256 * 2 ** 20;
const ERROR_BYTES_MAX = 64 * 1024;

/**
 * @param {unknown} error
 * @returns {string} the system's error code
 */
function codeOf(error) {
  const { code } = /** @type {{code?: unknown}} */ (error ?? {});
  return typeof code === 'string' ? code : '';
}

/**
 * @param {AsyncIterable<Buffer>} body
 * @param {number} bytesMax
 */
async function readAll(body, bytesMax) {
  const chunks = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > bytesMax) throw invalidResponse('an answer that exceeds the size limit');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/**
 * @param {string} text
 * @param {number} count inputs of the call
 * @returns {EmbeddingAnswer}
 */
function parseAnswer(text, count) {
  /** @type {any} */
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalidResponse('embeddings that are no JSON');
  }
  const embeddings = Array.from({ length: count });
  const data = Array.isArray(json?.data) ? json.data : [];
  // Some servers omit the index.
  data.forEach((/** @type {any} */ each, /** @type {number} */ i) => {
    embeddings[each?.index ?? i] = each?.embedding;
  });
  const isVector = (/** @type {unknown} */ each) => typeof each === 'string' || Array.isArray(each);
  if (embeddings.length !== count || !embeddings.every(isVector)) {
    throw invalidResponse('embeddings that do not match the inputs');
  }
  const tokens = json.usage?.prompt_tokens ?? json.usage?.total_tokens;
  return {
    embeddings: /** @type {any[]} */ (embeddings),
    promptTokens: Number.isSafeInteger(tokens) && tokens >= 0 ? tokens : undefined,
    model: typeof json.model === 'string' ? json.model : undefined,
  };
}

/**
 * @param {UpstreamConnections} connections
 * @param {object} call
 * @param {string} call.path
 * @param {Record<string, string>} call.headers
 * @param {Record<string, unknown>} call.body
 * @param {number} call.count inputs of the call
 * @param {number} call.idleMs longest silence of the upstream
 * @param {readonly string[]} call.secrets values that are never quoted
 * @param {AbortSignal} signal closes the connection
 * @returns {Promise<EmbeddingAnswer>}
 * @throws {import('../shared/errors.js').ProviderError}
 */
export async function fetchEmbeddings(connections, call, signal) {
  const { path, headers, body, count, idleMs, secrets } = call;
  const connection = await connections.borrow();
  let silent = false;
  let answered = false;
  const timer = setTimeout(() => {
    silent = true;
    connection.destroy(new Error('the upstream is silent'));
  }, idleMs);
  const abort = () => connection.destroy(new Error('the embeddings are not wanted any more'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    const post = { ...headers, accept: 'application/json' };
    const response = await connection.post(path, post, stringifyExact(body));
    answered = true;
    const { statusCode: status } = response;
    const text = await readAll(response.body, status === 200 ? BODY_BYTES_MAX : ERROR_BYTES_MAX);
    connection.release();
    if (status !== 200) throw statusError(status, response.headers, text, secrets);
    return parseAnswer(text, count);
  } catch (/** @type {any} */ error) {
    if (error?.wireCode !== undefined) throw error;
    connection.destroy(error);
    signal.throwIfAborted();
    if (silent) throw stalledError(idleMs);
    throw answered ? disconnectedError(error) : unreachableError(codeOf(error), error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
