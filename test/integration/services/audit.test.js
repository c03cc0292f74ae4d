/** The audit log over HTTP: entries, rights to read it, and restarts. */
import { bearer, entry } from '../../support/gateway/keys.js';
import { dataFile } from '../../support/files/data-file.js';
import { echo, handProvider } from '../../support/providers/providers.js';
import { start, stopAll } from '../../support/gateway/gateway.js';

afterEach(stopAll);

const access = { keys: [entry('ann', 'ann'), entry('ops', 'ops', { admin: true })] };

/** Requests of the administrator, and the entries of the audit log. */
function adminOf(gateway) {
  const headers = bearer('ops');
  const read = (query = '') => gateway.get(`/v1/audit${query}`, { headers });
  return { headers, read, entries: async (query) => (await read(query)).body.data };
}

test('cancellations, deletions, transfers and refusals, with caller, object, request and outcome', async () => {
  const { provider, call } = handProvider();
  const gateway = await start({ provider, access });
  const { headers, read, entries } = adminOf(gateway);
  const [ann, ops] = [bearer('ann'), bearer('ops')];
  const { job_id: id } = (await gateway.submit({ prompt: 'x' }, ann)).body;
  await call(0);
  const traced = { ...ann, 'x-request-id': 'my-request' };
  expect((await gateway.post(`/v1/jobs/${id}/cancel`, undefined, traced)).status).toBe(200);
  const remove = (path, ownHeaders) => gateway.call('DELETE', path, { headers: ownHeaders });
  expect((await remove(`/v1/jobs/${id}`, ann)).status).toBe(204);
  expect((await remove(`/v1/jobs/${id}`, ann)).status).toBe(404);
  expect((await remove('/v1/principals/bob', ann)).status).toBe(403);
  const deposit = await gateway.post('/v1/transfers', { to: 'acme', amount: 500, key: 'k' }, ops);
  expect(deposit.status).toBe(201);
  expect((await gateway.post('/v1/transfers', { to: 'acme' }, ops)).status).toBe(400);
  gateway.gateway.reload({ access });
  const { body } = await read();
  expect(body.has_more).toBe(false);
  const brief = body.data.map(({ actor, action, target, outcome, status, code }) =>
    [actor, action, target, outcome, status, code].map(String).join(' '),
  );
  expect(brief).toEqual([
    'null config.reload null success null null',
    'ops credits.transfer null failure 400 missing_field',
    `ops credits.transfer ${deposit.body.transfer_id} success 201 null`,
    'ann principal.erase bob denied 403 admin_key_required',
    `ann job.delete ${id} failure 404 job_not_found`,
    `ann job.delete ${id} success 204 null`,
    expect.stringMatching(/^ann job\.cancel \S+ success 200 null$/),
  ]);
  const cancelled = body.data.at(-1);
  expect(cancelled).toMatchObject({ id: 'audit_000000000000001', request_id: 'my-request' });
  // The erasure of the job renamed it.
  expect(cancelled.target).toMatch(/^erased:/);
  expect((await entries(`?target=${id}&action=job.cancel`)).map((each) => each.id)).toEqual([
    cancelled.id,
  ]);
  expect(Math.abs(cancelled.created_at - Date.now() / 1000)).toBeLessThan(60);
  expect(body.data[2].details).toEqual({ to: 'acme', amount: 500, replayed: false });
  const metrics = (await gateway.get('/metrics', { headers })).body;
  expect(metrics).toContain(
    'sluice_audit_entries_total{action="job.delete",outcome="success"} 1\n',
  );
});

test('only administrators read it, page by page, with filters that are checked', async () => {
  const gateway = await start({ provider: echo, access });
  const { read, entries } = adminOf(gateway);
  for (const id of ['job_1', 'job_2', 'job_3']) {
    await gateway.post(`/v1/jobs/${id}/cancel`, undefined, bearer('ann'));
  }
  expect((await gateway.get('/v1/audit', { headers: bearer('ann') })).status).toBe(403);
  expect((await gateway.get('/v1/audit')).status).toBe(401);
  const first = (await read('?limit=2&actor=ann&outcome=failure')).body;
  expect([first.data.map(({ target }) => target), first.has_more]).toEqual([
    ['job_3', 'job_2'],
    true,
  ]);
  const rest = (await read(`?limit=2&after=${first.data[1].id}`)).body;
  expect([rest.data.map(({ target }) => target), rest.has_more]).toEqual([['job_1'], false]);
  expect(await entries('?from=2100-01-01')).toEqual([]);
  for (const [query, param] of [
    ['limit=0', 'limit'],
    ['after=job_1', 'after'],
    ['outcome=good', 'outcome'],
    ['actor=', 'actor'],
    ['from=noon', 'from'],
    ['principal=ann', 'principal'],
  ]) {
    const { status, body } = await read(`?${query}`);
    expect([status, body.error.param]).toEqual([400, param]);
  }
});

test('with a data file the entries outlive the process, without ids of erased data', async () => {
  const data = dataFile();
  const options = { provider: echo, access, data, audit: { maxEntries: 3 } };
  const gateway = await start(options);
  const { job_id: id } = (await gateway.submit({ prompt: 'x' }, bearer('ann'))).body;
  const remove = (path, key) => gateway.call('DELETE', path, { headers: bearer(key) });
  expect((await remove(`/v1/jobs/${id}`, 'ann')).status).toBe(204);
  expect((await remove('/v1/principals/ann', 'ops')).status).toBe(204);
  await gateway.gateway.close();
  const next = await start(options);
  const { entries, read } = adminOf(next);
  expect((await entries()).map(({ actor, action, outcome }) => [actor, action, outcome])).toEqual([
    ['ops', 'principal.erase', 'success'],
    [expect.stringMatching(/^erased:[0-9a-f]{24}$/), 'job.delete', 'success'],
  ]);
  expect(JSON.stringify(await entries())).not.toMatch(new RegExp(`"ann"|${id}`));
  expect(await entries('?actor=ann&target=' + id)).toHaveLength(1);
  expect(await entries('?target=ann')).toHaveLength(1);
  // The bound counts entries of earlier processes.
  for (const each of ['a', 'b', 'c']) {
    await next.post(`/v1/jobs/${each}/cancel`, undefined, bearer('ann'));
  }
  const { body } = await read();
  expect(body.data.map(({ target }) => target)).toEqual([
    'c',
    expect.stringMatching(/^(b|erased:.*)$/),
    expect.stringMatching(/^erased:/),
  ]);
});
