/** The list of jobs over HTTP: order, pages, filter, purged jobs. */
import { start, stopAll } from '../../support/gateway/gateway.js';
import { echo } from '../../support/providers/providers.js';

afterEach(stopAll);

describe('the list', () => {
  test('is newest first, in pages, and by status', async () => {
    const { submit, get, ended, cancel } = await start({ provider: echo });
    const ids = [];
    for (let i = 0; i < 5; i += 1) ids.push((await submit({ prompt: `p${i}` })).body.job_id);
    for (const id of ids) await ended(id);
    const newest = ids.toReversed();
    const idsOf = ({ body }) => body.data.map(({ job_id: id }) => id);

    const all = await get('/v1/jobs');
    expect(idsOf(all)).toEqual(newest);
    expect(all.body.has_more).toBe(false);
    expect(all.body.data[0]).toMatchObject({ status: 'completed', model: 'echo', reason: 'stop' });

    const first = await get('/v1/jobs?limit=2');
    expect(idsOf(first)).toEqual(newest.slice(0, 2));
    expect(first.body.has_more).toBe(true);
    const second = await get(`/v1/jobs?limit=2&after=${newest[1]}`);
    expect(idsOf(second)).toEqual(newest.slice(2, 4));
    expect(second.body.has_more).toBe(true);
    const third = await get(`/v1/jobs?limit=2&after=${newest[3]}`);
    expect(idsOf(third)).toEqual(newest.slice(4));
    expect(third.body.has_more).toBe(false);

    expect(idsOf(await get('/v1/jobs?status=completed&limit=1'))).toEqual([newest[0]]);
    expect(idsOf(await get('/v1/jobs?status=cancelled'))).toEqual([]);
    await cancel(ids[0]);
    expect(idsOf(await get('/v1/jobs?status=failed'))).toEqual([]);
  });

  test('has 20 to a page by default', async () => {
    const { gateway, get } = await start({ provider: echo });
    for (let i = 0; i < 21; i += 1) await gateway.submit({ prompt: 'p' });
    const { body } = await get('/v1/jobs');
    expect(body.data).toHaveLength(20);
    expect(body.has_more).toBe(true);
  });

  test('forgets the oldest finished jobs beyond the bound', async () => {
    const { submit, ended, get } = await start({ provider: echo, maxRetainedJobs: 2 });
    const ids = [];
    for (let i = 0; i < 4; i += 1) {
      ids.push((await submit({ prompt: 'p' })).body.job_id);
      await ended(ids[i]);
    }
    const { body } = await get('/v1/jobs');
    expect(body.data.map(({ job_id: id }) => id)).toEqual([ids[3], ids[2]]);
    expect((await get(`/v1/jobs/${ids[0]}`)).status).toBe(404);
    expect((await get(`/v1/stream?job_id=${ids[0]}`)).status).toBe(404);
  });
});
