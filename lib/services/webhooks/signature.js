/** Signatures of webhooks by the Standard Webhooks specification, version 1. Pure. */
import { createHmac } from 'node:crypto';

/**
 * The headers of one attempt.
 * @param {string} id of the message, the same in each attempt
 * @param {string} body as sent
 * @param {readonly Buffer[]} keys one signature for each
 * @param {number} nowMs Unix time of the attempt
 * @returns {Record<string, string>}
 */
export function signedHeaders(id, body, keys, nowMs) {
  const timestamp = Math.floor(nowMs / 1000);
  const signatures = keys.map((key) => {
    const hmac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`);
    return `v1,${hmac.digest('base64')}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatures.join(' '),
  };
}
