import http from 'node:http';
import { once } from 'node:events';
import { JobHub } from '../../../../lib/streams/hub.js';
import { SseResponse } from '../../../../lib/http/sse/response.js';
import { hubOptions } from '../../../support/streams/hub-options.js';
import { sharedReactors } from '../../../../lib/internal/native/reactor.js';

test.each(['auto', 'node'])(
  '%s: a job that was purged since it was found is a 404',
  async (mode) => {
    const hub = new JobHub({ ...hubOptions, reactors: sharedReactors(1) });
    let closed = 0;
    const server = http.createServer((_req, res) => {
      const response = new SseResponse(res, { mode, onClosed: () => (closed += 1) });
      response.connect(hub, [{ handle: 1_000_000, cursor: '' }]);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const response = await fetch(`http://127.0.0.1:${server.address().port}`);
    expect(response.status).toBe(404);
    expect((await response.json()).error).toMatchObject({ code: 'job_not_found', param: 'job_id' });
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    expect(closed).toBe(1);
    hub.close();
  },
);
