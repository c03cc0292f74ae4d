/** Gateways, and requests to their key-value store. */
import { providers } from '../../../lib/index.js';
import { start } from './gateway.js';

/** A gateway, and requests to its keys with the most frequent headers. */
export async function startKv(options = {}) {
  const made = await start({ provider: providers.demo(), ...options });
  const put = (key, raw, { headers = {}, query = '', type = 'text/plain' } = {}) =>
    made.call('PUT', `/v1/kv/${key}${query}`, {
      raw,
      headers: { ...(type && { 'content-type': type }), ...headers },
    });
  const get = (key, headers) => made.call('GET', `/v1/kv/${key}`, { headers });
  const remove = (key, headers) => made.call('DELETE', `/v1/kv/${key}`, { headers });
  const txn = (body) => made.post('/v1/kv/txn', body);
  return { ...made, put, read: get, remove, txn };
}
