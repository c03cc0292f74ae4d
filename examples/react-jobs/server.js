/** The gateway, and the page that `vite build` has made, in one server. */
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import sirv from 'sirv';
import { createGateway } from 'sluice';
import { model } from './model.js';

const gateway = createGateway({ provider: model });
const handle = gateway.handler();
const page = sirv(fileURLToPath(new URL('dist', import.meta.url)));

const server = createServer((req, res) => {
  // A path that is not the gateway's is a file of the page.
  handle(req, res, () => page(req, res));
});
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await gateway.close({ drainMs: 1000 });
    server.close();
    server.closeAllConnections();
  });
}
