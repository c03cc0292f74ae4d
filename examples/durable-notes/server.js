/** The gateway with its data file, and the page that `vite build` has made, in one server. */
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import sirv from 'sirv';
import { createGateway, providers } from 'sluice';

const { DATA: data = 'notes.db', PORT = 3000 } = process.env;
const gateway = createGateway({ provider: providers.demo(), data });
const handle = gateway.handler();
const page = sirv(fileURLToPath(new URL('dist', import.meta.url)));

const server = createServer((req, res) => {
  // A path that is not the gateway's is a file of the page.
  handle(req, res, () => page(req, res));
});
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await gateway.close({ drainMs: 1000 });
    server.close();
    server.closeAllConnections();
  });
}
