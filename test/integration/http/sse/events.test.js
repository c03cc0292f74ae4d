/**
 * `GET /v1/events`: many jobs on one connection, with a cursor over the set.
 */
import { everyEgress, start as startGateway, stopAll } from '../../../support/gateway/gateway.js';
import { handProvider, listProvider } from '../../../support/providers/providers.js';
import { until } from '../../../support/until.js';

describe.each(everyEgress)('egress %s, reactors: %d', (egress, reactors) => {
  afterEach(stopAll);

  const start = (provider) => startGateway({ provider, egress, reactors });

  async function submit(server, count) {
    const ids = [];
    for (let i = 0; i < count; i += 1) {
      ids.push((await server.submit({ prompt: `prompt ${i}` })).body.job_id);
    }
    return ids;
  }

  const query = (ids) => ids.map((id) => `job_id=${id}`).join('&');

  /** The text of each job of a stream, by job. */
  function byJob(stream) {
    const jobs = {};
    for (const { type, data } of stream.events) {
      const { job_id: id, token } = data;
      jobs[id] ??= { text: '', endings: [] };
      if (type === 'token') jobs[id].text += token;
      else jobs[id].endings.push(type);
    }
    return jobs;
  }

  test('carries every job to its end, then ends itself', async () => {
    const server = await start(listProvider(['a', 'b', 'c']));
    const ids = await submit(server, 12);
    const stream = await server.read(`/v1/events?${query(ids)}`);
    expect(stream.ended).toBe(true);
    expect(stream.raw.startsWith('retry: 2000\n')).toBe(true);
    expect(byJob(stream)).toEqual(
      Object.fromEntries(ids.map((id) => [id, { text: 'abc', endings: ['job_complete'] }])),
    );
  });

  test('has ids that are cursors over the set, in the form job_a:1-5,job_b:1-2', async () => {
    const server = await start(listProvider(['a', 'b']));
    const [a, b] = await submit(server, 2);
    const stream = await server.read(`/v1/events?${query([a, b])}`);
    const position = new Map();
    for (const { id, data } of stream.events) {
      const { job_id: job } = data;
      const [attempt, seq] = (position.get(job) ?? '1-0').split('-').map(Number);
      position.set(job, `${attempt}-${seq + 1}`);
      const parts = Object.fromEntries(id.split(',').map((part) => part.split(':')));
      expect(parts).toEqual(Object.fromEntries(position));
    }
  });

  test('resumes from each of its ids with nothing lost or doubled', async () => {
    const server = await start(listProvider(['a', 'b', 'c']));
    const ids = await submit(server, 3);
    const path = `/v1/events?${query(ids)}`;
    const whole = await server.read(path);
    for (let cut = 0; cut < whole.events.length - 1; cut += 1) {
      const rest = await server.read(path, { headers: { 'Last-Event-ID': whole.events[cut].id } });
      const before = whole.events.slice(0, cut + 1).map(({ json }) => json);
      const all = [...before, ...rest.events.map(({ json }) => json)];
      expect(all.sort()).toEqual(whole.events.map(({ json }) => json).sort());
    }
    const end = await server.read(`${path}&last_event_id=${whole.events.at(-1).id}`);
    expect(end.status).toBe(204);
  });

  test('streams the tokens of several jobs live', async () => {
    const hand = handProvider();
    const server = await start(hand.provider);
    const [id] = await submit(server, 1);
    const stream = await server.stream(`/v1/events?${query([id])}`);
    const run = await hand.call(0);
    for (const token of ['x', 'y', 'z']) {
      run.push(token);
      await until(() => stream.text.endsWith(token), token);
    }
    run.end();
    await stream.done;
    expect(stream.ids).toEqual([1, 2, 3, 4].map((seq) => `${id}:1-${seq}`));
  });

  test('announces a gap for each job whose cursor it does not know', async () => {
    const server = await start(listProvider(['a']));
    const [a, b] = await submit(server, 2);
    const path = `/v1/events?${query([a, b])}`;
    await server.read(path);
    const stream = await server.read(`${path}&last_event_id=${a}:1-1,${b}:9-9`);
    const gaps = stream.events.filter(({ type }) => type === 'gap');
    expect(gaps.map(({ data }) => data)).toEqual([
      { job_id: b, requested: '9-9', earliest: '1-1', latest: '1-2' },
    ]);
    expect(byJob(stream)[a].text).toBe('');
    expect(byJob(stream)[b].text).toBe('a');
    const rubbish = await server.read(`${path}&last_event_id=rubbish`);
    expect(rubbish.events.filter(({ type }) => type === 'gap')).toHaveLength(2);
  });

  test('does not copy a line break of a cursor into an id', async () => {
    const server = await start(listProvider(['a']));
    const [a, b] = await submit(server, 2);
    const cursor = encodeURIComponent(`${a}:1-1\nevent: forged,${b}:x\ndata: forged`);
    const stream = await server.read(`/v1/events?${query([a, b])}&last_event_id=${cursor}`);
    expect(stream.events.map(({ type }) => type)).not.toContain('forged');
    expect(stream.raw).not.toMatch(/^(event|data): forged/m);
    expect(byJob(stream)[a].text + byJob(stream)[b].text).toBe('aa');
  });

  test('accepts up to 64 jobs, each once', async () => {
    const server = await start(listProvider(['a']));
    const ids = await submit(server, 65);
    const { status, body } = await server.get(`/v1/events?${query(ids)}`);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'invalid_value', param: 'job_id' });
    const set = ids.slice(0, 64);
    const stream = await server.read(`/v1/events?${query([...set, ...set])}`);
    expect(Object.keys(byJob(stream)).sort()).toEqual([...set].sort());
    expect(stream.events).toHaveLength(128);
  });

  test('is 404 when one of the jobs is not there', async () => {
    const server = await start(listProvider(['a']));
    const [id] = await submit(server, 1);
    const { status, body } = await server.get(`/v1/events?job_id=${id}&job_id=job_nothere`);
    expect(status).toBe(404);
    expect(body.error.code).toBe('job_not_found');
  });
});
