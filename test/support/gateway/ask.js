/** Requests to this machine with a Host header set by the test, which fetch does not allow. */
import http from 'node:http';

/**
 * A request with this host name, as a browser sends it to the address of the name.
 * @param {number} port
 * @param {string} host the `Host` header
 * @param {{path?: string, method?: string, headers?: Record<string, string>, body?: string}} [request]
 * @returns {Promise<{status: number | undefined, text: string}>}
 */
export function ask(
  port,
  host,
  { path = '/v1/jobs', method = 'GET', headers = {}, body = undefined } = {},
) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method, headers: { host, ...headers } };
    const request = http.request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.once('end', () => resolve({ status: response.statusCode, text }));
    });
    request.once('error', reject);
    request.end(body);
  });
}
