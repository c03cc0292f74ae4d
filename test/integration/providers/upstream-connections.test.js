/**
 * Connections to an upstream that are kept from call to call: no byte of one caller's answer reaches
 * another, and nothing that happens to an idle connection fails the next job.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { certificatePath } from '../../support/upstream/localhost-certificate.js';
import { rows, startStrayUpstream } from '../../support/upstream/stray-bytes.js';

// Bytes sent over loopback have arrived after this time.
const ARRIVAL_MS = 30;

describe.each([
  ['native', 'http', {}],
  ['native', 'https', {}],
  ['native', 'http', { SLUICE_HTTP_CLIENT: 'libcurl' }],
  ['undici', 'http', {}],
  ['undici', 'https', {}],
])('by %s over %s %j', (client, scheme, env) => {
  /** @type {import('node:child_process').ChildProcess} */
  let child;
  beforeAll(async () => {
    const script = fileURLToPath(new URL('../../support/gateway/jobs-process.js', import.meta.url));
    const trust = { SSL_CERT_FILE: certificatePath, NODE_EXTRA_CA_CERTS: certificatePath };
    child = fork(script, [client], {
      env: { ...process.env, ...trust, ...env },
      stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
    });
    await once(child, 'message');
  });
  afterAll(() => child.kill());

  const upstreams = [];
  afterEach(async () => {
    while (upstreams.length > 0) await upstreams.pop().close();
  });

  async function start(row) {
    const upstream = await startStrayUpstream(row, scheme);
    upstreams.push(upstream);
    return upstream;
  }

  async function run(upstream, prompt) {
    child.send({ baseUrl: upstream.url, prompt });
    const [ending] = await once(child, 'message');
    return ending;
  }

  test.each(rows)('$name', async (row) => {
    const upstream = await start(row);
    expect(await run(upstream, 'bob')).toMatchObject({ type: 'job_complete', text: 'BOB' });
    await sleep(ARRIVAL_MS);
    upstream.disturb();
    await sleep(ARRIVAL_MS);
    expect(await run(upstream, 'carol')).toEqual({
      type: 'job_complete',
      text: 'CAROL',
      attempt: 1,
    });
    expect(upstream.connections).toBe(row.connections);
  });

  test.each(rows.filter(({ whileIdle }) => whileIdle !== undefined))(
    '$name, of which the main thread has not heard yet',
    async (row) => {
      const upstream = await start(row);
      expect(await run(upstream, 'bob')).toMatchObject({ text: 'BOB' });
      await sleep(ARRIVAL_MS);
      child.send({ baseUrl: upstream.url, prompt: 'carol', waits: true });
      await once(child, 'message');
      upstream.disturb();
      // No client can distinguish stray bytes after its next request from the answer to it.
      await sleep(ARRIVAL_MS);
      child.stdin?.write('\n');
      const [ending] = await once(child, 'message');
      expect(ending).toEqual({ type: 'job_complete', text: 'CAROL', attempt: 1 });
      expect(upstream.connections).toBe(row.connections);
    },
  );

  test('a new connection that fails as well is the end of the attempt', async () => {
    const upstream = await start({
      name: '',
      connections: 2,
      onNext: (socket) => socket.destroy(),
    });
    expect(await run(upstream, 'bob')).toMatchObject({ text: 'BOB' });
    await upstream.close();
    upstreams.pop();
    expect(await run(upstream, 'carol')).toMatchObject({
      type: 'job_error',
      error: { code: 'upstream_unavailable' },
    });
  });
});
