/**
 * A process with a gateway that is killed once the end of a job is in the data file, before it is reported.
 * Arguments: the data file, the URL of a webhook and its secret.
 */
import { createGateway, partsOf } from './parts.js';

const [data, url, secret] = process.argv.slice(2);
const gateway = createGateway({
  async *provider({ prompt }) {
    yield prompt;
  },
  ...{ data, retentionMs: 0, logger: false, webhooks: [{ url, secret }] },
});
partsOf(gateway).lifecycle.prependListener('ended', () => process.kill(process.pid, 'SIGKILL'));
await gateway.submit({ prompt: 'last words' });
setInterval(() => {}, 1000);
