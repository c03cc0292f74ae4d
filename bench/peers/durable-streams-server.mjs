/** The reference server of Durable Streams, in memory. PORT is its port. */
import { importPeer } from './packages.mjs';

const { DurableStreamTestServer } = await importPeer('@durable-streams/server');
const port = Number(process.env.PORT);
await new DurableStreamTestServer({ port, host: '127.0.0.1' }).start();
console.log(`listening on http://127.0.0.1:${port}`);
