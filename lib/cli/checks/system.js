/**
 * The checks of `sluice doctor`: each verifies one requirement of a server and gives advice for a problem.
 * They change nothing, and none throws. Modules that need the addon are loaded inside the checks.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readSync,
  statfsSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { once } from 'node:events';
import { nativeTarget } from '../../internal/native/target.js';

/**
 * @typedef {object} Finding
 * @property {'ok' | 'warning' | 'problem'} level a problem keeps a server from working
 * @property {string} message
 * @property {string} [advice] what to do
 */

/** @typedef {Record<string, any>} Values of the flags, by camelCase name */

/** Number of descriptors that a server may use up quickly. */
const DESCRIPTORS_LOW = 4096;
const SPACE_LOW_BYTES = 256 * 2 ** 20;
const MIB = 2 ** 20;
const UPSTREAM_TIMEOUT_MS = 10_000;
const MODELS_SHOWN = 8;
const ANTHROPIC_VERSION = '2023-06-01';

/** @param {string} message @returns {Finding} */
export const ok = (message) => ({ level: 'ok', message });
/** @param {string} message @param {string} advice @returns {Finding} */
export const warning = (message, advice) => ({ level: 'warning', message, advice });
/** @param {string} message @param {string} advice @returns {Finding} */
export const problem = (message, advice) => ({ level: 'problem', message, advice });

/** The lines of Node that `engines` in package.json names. */
const LINES = new Map([
  [20, 19],
  [22, 12],
]);

/**
 * @param {string} [version] default: of this process
 * @returns {Finding}
 */
export function checkNode(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number);
  const least = LINES.get(major);
  const fits = least === undefined ? major > 22 : minor >= least;
  return fits
    ? ok(`Node ${version}`)
    : problem(
        `Node ${version} is not supported`,
        'Use Node 20.19 or a later 20.x, or 22.12 or later.',
      );
}

/** @returns {Promise<Finding>} */
export async function checkAddon() {
  try {
    await import('../../internal/native/addon.js');
    return ok(`the addon for ${nativeTarget()} loads`);
  } catch (/** @type {any} */ error) {
    return problem(error.message, 'Run "npx sluice build", or install the package again.');
  }
}

/** @returns {Promise<Finding>} */
export async function checkLibcurl() {
  try {
    const { default: native } = await import('../../internal/native/addon.js');
    const version = native.upstreamClient();
    if (version !== '') {
      return ok(`${version} is there: calls to the upstream do not go through the main thread`);
    }
    return warning(
      'there is no libcurl 7.62 or later: calls to the upstream go through the main thread',
      'Install libcurl (on Debian: libcurl4).',
    );
  } catch {
    return warning('not checked: the addon does not load', 'See above.');
  }
}

/** @param {number} [limit] default: of this process @returns {Promise<Finding>} */
export async function checkFiles(limit) {
  const { defaultMaxConnections, descriptorLimit } =
    await import('../../http/connection-limits.js');
  const files = limit ?? descriptorLimit();
  const connections = defaultMaxConnections(files, 1);
  const message = `${files} open files, enough for ${connections} connections`;
  if (files >= DESCRIPTORS_LOW) return ok(message);
  return warning(message, 'Raise the limit: "ulimit -n 65536", LimitNOFILE= in systemd.');
}

/** @param {string} url of a server @returns {Promise<boolean>} whether a Sluice server answers there */
async function isSluice(url) {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1000) });
    return response.headers.has('x-request-id');
  } catch {
    return false;
  }
}

/** @param {Values} values @returns {Promise<Finding>} */
export async function checkPort({ host, port }) {
  const at = `port ${port} of ${host}`;
  const server = createServer();
  try {
    server.listen({ host, port });
    await once(server, 'listening');
    server.close();
    return ok(port === 0 ? `a free port of ${host} can be had` : `${at} is free`);
  } catch (/** @type {any} */ error) {
    if (error.code === 'EADDRINUSE') {
      const owner = (await isSluice(`http://${host}:${port}`))
        ? 'a Sluice server'
        : 'another program';
      return problem(`${at} is in use by ${owner}`, 'Stop it, or choose another port with --port.');
    }
    if (error.code === 'EACCES') {
      return problem(`${at} needs more privileges`, 'Choose a port from 1024 on, behind a proxy.');
    }
    return problem(`${at} cannot be used (${error.code})`, 'Choose an address of this machine.');
  }
}

/**
 * @param {any} error of fetch
 * @returns {string}
 */
function reasonOf(error) {
  const cause = error?.cause ?? error;
  if (error?.name === 'TimeoutError') return `no answer within ${UPSTREAM_TIMEOUT_MS / 1000} s`;
  return cause?.code ?? cause?.message ?? String(cause);
}

/** @param {Response} response @returns {Promise<string[] | undefined>} ids of the upstream's models */
async function modelsIn(response) {
  try {
    const { data } = await response.json();
    const ids = data.map((/** @type {any} */ { id }) => id);
    return ids.every((/** @type {unknown} */ id) => typeof id === 'string') ? ids : undefined;
  } catch {
    return undefined;
  }
}

/**
 * An upstream to check.
 * @typedef {object} Upstream
 * @property {string} baseUrl
 * @property {string} [dialect] default `openai`
 * @property {string} [apiKey]
 * @property {string} keyName the variable or member with the key
 * @property {Record<string, string>} [headers]
 * @property {Record<string, string>} [query]
 * @property {string[]} models required models; empty: none
 */

/**
 * @param {string[] | undefined} found ids of the upstream's list
 * @param {string[]} wanted
 * @param {string} base
 * @returns {Finding}
 */
function checkModels(found, wanted, base) {
  if (found === undefined) return ok(`${base} answers; it has no list of models to check`);
  const shown = found.slice(0, MODELS_SHOWN).join(', ');
  const listed = found.length > MODELS_SHOWN ? `${shown}, ...` : shown || 'none';
  if (wanted.length === 0) {
    const advice = `Choose one with --model, so that requests need not name one: ${listed}`;
    return warning(`${base} answers; no --model is given`, advice);
  }
  // Ollama adds a tag to names without a tag.
  const missing = wanted.filter(
    (model) => !found.some((id) => [model, `${model}:latest`].includes(id)),
  );
  if (missing.length > 0) {
    return problem(`${base} has no model ${missing.join(', ')}`, `It has: ${listed}`);
  }
  return ok(`${base} answers and has the model ${wanted.join(', ')}`);
}

/** @param {Upstream} upstream @returns {Record<string, string>} headers of its calls */
function headersOf({ dialect, apiKey, headers }) {
  if (dialect === 'anthropic') {
    const own = { 'anthropic-version': ANTHROPIC_VERSION, ...headers };
    return apiKey === undefined ? own : { ...own, 'x-api-key': apiKey };
  }
  return { ...headers, ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }) };
}

/** @param {Upstream} upstream @returns {Promise<Finding>} */
export async function checkUpstream(upstream) {
  const { baseUrl, apiKey, keyName, query, models } = upstream;
  const { parseBaseUrl } = await import('../../providers/shared/endpoint.js');
  let base = baseUrl;
  try {
    const endpoint = parseBaseUrl('base_url', baseUrl);
    base = `${endpoint.url.origin}${endpoint.path}`;
    const parameters = new URLSearchParams({ ...endpoint.query, ...query });
    const response = await fetch(`${base}/models${parameters.size > 0 ? `?${parameters}` : ''}`, {
      headers: headersOf(upstream),
      signal: AbortSignal.timeout(UPSTREAM_TIMEOUT_MS),
    });
    const { status } = response;
    if (status === 401 || status === 403) {
      const advice = `${apiKey === undefined ? 'Set' : 'Check'} ${keyName}.`;
      return problem(`${base} refuses the key (${status})`, advice);
    }
    if (status === 404 || status === 405) return checkModels(undefined, models, base);
    if (!response.ok) {
      return warning(`${base} answers with ${status}`, "See the upstream's own log.");
    }
    return checkModels(await modelsIn(response), models, base);
  } catch (error) {
    const advice = 'Start the upstream, or correct its URL: Ollama is at http://127.0.0.1:11434.';
    return problem(`${base} cannot be reached (${reasonOf(error)})`, advice);
  }
}

/** @param {string} path @returns {string} its first four bytes */
function magicOf(path) {
  const bytes = Buffer.alloc(4);
  const file = openSync(path, 'r');
  try {
    readSync(file, bytes);
  } finally {
    closeSync(file);
  }
  return bytes.toString('latin1');
}

/** @param {Values} values @returns {Promise<Finding>} */
export async function checkModelFile({ model }) {
  const advice = 'Give the path of a GGUF file.';
  try {
    if (magicOf(model) !== 'GGUF') return problem(`${model} is no GGUF file`, advice);
  } catch (/** @type {any} */ error) {
    return problem(`${model} cannot be read (${error.code})`, advice);
  }
  try {
    import.meta.resolve('node-llama-cpp');
    return ok(`${model} is a GGUF file, and node-llama-cpp is installed`);
  } catch {
    return problem('node-llama-cpp is not installed', 'Run "npm install node-llama-cpp".');
  }
}

/**
 * @param {string} folder
 * @returns {Finding | undefined} undefined: the folder is writable
 */
function checkFolder(folder) {
  try {
    accessSync(folder, constants.W_OK);
  } catch (/** @type {any} */ error) {
    return problem(
      `the folder ${folder} cannot be written (${error.code})`,
      'Create it, or give its user the right to write.',
    );
  }
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= SPACE_LOW_BYTES) return undefined;
  return warning(
    `${folder} has only ${Math.floor((bavail * bsize) / MIB)} MiB left`,
    'A full disk stops new work: free some space.',
  );
}

/** @param {Values} values @returns {Promise<Finding>} */
export async function checkData({ data }) {
  const found = checkFolder(dirname(resolve(data)));
  if (found?.level === 'problem') return found;
  if (!existsSync(data)) return found ?? ok(`${data} will be created`);
  try {
    const { exported } = await import('../../jobs/storage/export.js');
    let rows = 0;
    // Reads and decodes every row, which finds all damage.
    for (const row of exported(data)) rows += row === undefined ? 0 : 1;
    return found ?? ok(`${data} is readable: ${rows} rows`);
  } catch (/** @type {any} */ error) {
    return problem(error.message, 'Restore a copy, or move the file away.');
  }
}
