/** The reports of readers to the owners of their jobs, when Redis has lost the job. */
import { EventEmitter } from 'node:events';
import { Presence } from '../../../lib/cluster/jobs/presence.js';
import { until } from '../../support/until.js';

/** A process with a reader of the job 7, whose log has the handle 1, at a Redis that gives these answers. */
function open(answers) {
  const asked = [];
  const events = new EventEmitter();
  const redis = {
    async run(_name, _keys, [, , present]) {
      asked.push(present);
      return answers.shift() ?? 'OK';
    },
  };
  const cluster = Object.assign(new EventEmitter(), { redis, process: 'a' });
  const hub = { events, hasReader: () => true };
  const replicas = { byHandle: () => ({ id: '7', handle: 1 }) };
  const presence = new Presence({ hub, cluster, replicas, endJob() {} });
  return { asked, events, presence };
}

test('a job that its owner has not written again yet is reported until it is there', async () => {
  const { asked, events, presence } = open(['GONE', 'OK']);
  events.emit('readers', 1);
  await until(() => asked.length === 2, 'the second report');
  expect(asked).toEqual(['1', '1']);
  presence.close();
});
