/** Gateways with durable streams, and requests to them. */
import { providers } from '../../../lib/index.js';
import { partsOf } from './parts.js';
import { start } from './gateway.js';
import { until } from '../until.js';

/**
 * @param {object} [options] of the gateway
 * @param {Record<string, string>} [common] headers of every request
 */
export async function startDurable(options = {}, common = {}) {
  const made = await start({ provider: providers.demo(), ...options });
  const at = (path) => `${made.url}/v1/durable/${path}`;
  /** Answers with their body as bytes and as text. */
  async function ask(method, path, { body, headers, signal } = {}) {
    const all = { ...common, ...headers };
    const response = await fetch(at(path), { method, body, headers: all, signal });
    const bytes = Buffer.from(await response.arrayBuffer());
    const header = (name) => response.headers.get(name);
    return {
      ...{ status: response.status, headers: response.headers, bytes, text: bytes.toString() },
      offset: header('stream-next-offset'),
      upToDate: header('stream-up-to-date') === 'true',
      closed: header('stream-closed') === 'true',
      get error() {
        return JSON.parse(bytes.toString()).error;
      },
    };
  }
  const typed = (type, headers) => ({ 'content-type': type, ...headers });
  return {
    ...made,
    at,
    ask,
    put: (path, body, { type = 'text/plain', ...headers } = {}) =>
      ask('PUT', path, { body, headers: typed(type, headers) }),
    append: (path, body, { type = 'text/plain', ...headers } = {}) =>
      ask('POST', path, { body, headers: typed(type, headers) }),
    read: (path, query = '', headers = {}) => ask('GET', path + query, { headers }),
    head: (path) => ask('HEAD', path),
    remove: (path) => ask('DELETE', path),
    /** Resolves once `count` readers wait or stream. */
    readers: (count) =>
      until(() => partsOf(made.gateway).streams.size === count, `${count} readers`),
    /** Appends a text `count` times. */
    async appendMany(path, body, count) {
      for (let done = 0; done < count; done += 50) {
        const batch = Array.from({ length: Math.min(50, count - done) }, () =>
          ask('POST', path, { body, headers: typed('text/plain') }),
        );
        for (const { status } of await Promise.all(batch)) {
          if (status !== 204) throw new Error(`an append was answered by ${status}`);
        }
      }
    },
  };
}
