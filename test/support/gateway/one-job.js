/**
 * A process with a gateway that runs one job and prints its outcome, as one line of JSON: for settings
 * that must be made before the addon is loaded. `node one-job.js BASE_URL CLIENT`
 */
import { createGateway, providers } from '../../../lib/index.js';

const [, , baseUrl, client] = process.argv;
try {
  const provider = providers.openai({ baseUrl, client: /** @type {any} */ (client), idleMs: 5000 });
  const gateway = createGateway({ provider, logger: false });
  const { id } = await gateway.submit({ prompt: 'hi' });
  const events = [];
  for await (const event of gateway.stream(id)) events.push(event);
  const { text } = await gateway.get(id);
  const { type, data } = events.at(-1);
  console.log(JSON.stringify({ type, text, error: data.error }));
  await gateway.close();
} catch (error) {
  console.log(JSON.stringify({ thrown: error.code, message: error.message }));
}
