/** A receiver of webhooks for tests: records each request, and answers by the test's function. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { cleanUp } from '../gateway/gateway.js';
import { until } from '../until.js';

/** A secret as Standard Webhooks writes it. */
export const newSecret = () => `whsec_${randomBytes(24).toString('base64')}`;

/**
 * @param {object} [options]
 * @param {number | ((request: object, res: import('node:http').ServerResponse) => void)} [options.answer]
 *   a status, or a function; `receiver.answer` changes it
 * @param {number} [options.port] default: a free one
 */
export async function startReceiver({ answer = 204, port = 0 } = {}) {
  const requests = [];
  const receiver = {
    answer,
    /** `{path, headers, text, body}` in the order of arrival. */
    requests,
    /** Resolves with the n-th request (from 0). */
    request: (n) => until(() => requests[n], `request ${n} of the receiver`),
    /** The types of the events received. */
    types: () => requests.map(({ body }) => body.type),
  };
  const server = createServer(async (req, res) => {
    let text = '';
    for await (const piece of req.setEncoding('utf8')) text += piece;
    const { url: path, headers, method } = req;
    const request = { path, method, headers, text, body: JSON.parse(text) };
    requests.push(request);
    if (typeof receiver.answer === 'function') receiver.answer(request, res);
    else res.writeHead(receiver.answer).end();
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  cleanUp(close);
  const { port: bound } = server.address();
  return Object.assign(receiver, { port: bound, url: `http://127.0.0.1:${bound}/hook`, close });
}
