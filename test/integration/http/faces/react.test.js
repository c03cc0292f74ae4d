/** `sluice/react` against a gateway, under StrictMode. */
import { EventSource } from 'eventsource';
import { StrictMode, createElement as h, useEffect } from 'react';
import { act, create } from 'react-test-renderer';
import { createClient } from '../../../../web/client.js';
import { start, stopAll, cleanUp } from '../../../support/gateway/gateway.js';
import { until } from '../../../support/until.js';
import { useJobStream, useSubmit } from '../../../../web/react.js';

globalThis.IS_REACT_ACT_ENVIRONMENT = true;
afterEach(stopAll);

/** A gateway whose model yields `one `, then `two` after `release()`, and a client of it. */
async function serve() {
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  let calls = 0;
  async function* provider() {
    calls += 1;
    yield { reasoning: 'hm' };
    yield 'one ';
    await gate;
    yield 'two';
  }
  const served = await start({ provider });
  let streams = 0;
  class CountingSource extends EventSource {
    constructor(...args) {
      super(...args);
      streams += 1;
    }
  }
  const client = createClient({ baseUrl: served.url, EventSource: CountingSource });
  cleanUp(() => client.close());
  return { ...served, client, release, calls: () => calls, streams: () => streams };
}

/** Renders `element` and unmounts it after the test. */
async function render(element) {
  let tree;
  await act(async () => {
    tree = create(element);
  });
  cleanUp(() => act(async () => tree.unmount()));
  return tree;
}

/** Applies updates until the condition holds. */
const settled = (condition, label) =>
  until(async () => {
    await act(() => new Promise((resolve) => setTimeout(resolve, 5)));
    return condition();
  }, label);

test('two components show one job by one stream, also under StrictMode', async () => {
  const { client, release, streams, submit } = await serve();
  const { body } = await submit({ prompt: 'x' });
  const seen = {};
  function Show({ name }) {
    seen[name] = useJobStream(body.job_id, { client });
    return seen[name].text;
  }
  await render(h(StrictMode, null, h(Show, { name: 'a' }), h(Show, { name: 'b' })));
  await settled(() => seen.a.text === 'one ' && seen.b.text === 'one ', 'the first word');
  expect(seen.a).toMatchObject({ status: 'running', reasoning: 'hm', gap: false });
  expect(seen.a).toBe(seen.b);
  expect(streams()).toBe(1);
  release();
  await settled(() => seen.a.status === 'completed', 'the end');
  expect(seen.a).toMatchObject({ text: 'one two', reason: 'stop' });
});

test('no job is idle, and a submit shows its job', async () => {
  const { client, release, calls } = await serve();
  const seen = {};
  function Show() {
    seen.form = useSubmit({ client });
    seen.stream = useJobStream(seen.form.job, { client });
    return null;
  }
  await render(h(StrictMode, null, h(Show)));
  expect(seen.stream.status).toBe('idle');
  await act(() => seen.form.submit({ prompt: 'x' }));
  await settled(() => seen.stream.text === 'one ', 'the first word');
  await act(() => seen.stream.cancel());
  await settled(() => seen.stream.status === 'cancelled', 'the end');
  expect(calls()).toBe(1);
  release();
  await act(() => expect(seen.form.submit({ prompt: 5 })).rejects.toThrow());
  expect(seen.form.error.param).toBe('prompt');
});

test('a submit in an effect is one POST under StrictMode; an equal later one is another', async () => {
  const { client, calls, release } = await serve();
  const jobs = [];
  let submitAgain;
  function Show() {
    const { submit, job } = useSubmit({ client });
    submitAgain = submit;
    useEffect(() => {
      submit({ prompt: 'x' }).then(({ id }) => jobs.push(id));
    }, [submit]);
    return useJobStream(job, { client }).text;
  }
  await render(h(StrictMode, null, h(Show)));
  await settled(() => jobs.length === 2, 'both answers');
  expect(jobs[0]).toBe(jobs[1]);
  const later = await act(() => submitAgain({ prompt: 'x' }));
  expect(later.id).not.toBe(jobs[0]);
  await settled(() => calls() === 2, 'the second call');
  release();
});

test('an unmounted component closes the stream', async () => {
  const { client, submit, release } = await serve();
  const { body } = await submit({ prompt: 'x', disconnect_grace_ms: 60_000 });
  function Show() {
    return useJobStream(body.job_id, { client }).text;
  }
  const tree = await render(h(StrictMode, null, h(Show)));
  await settled(() => client.stats().jobs === 1, 'the connection');
  await act(async () => tree.unmount());
  await until(() => client.stats().jobs === 0, 'no connection');
  release();
});
