import { RemoteOperations } from '../../../lib/cluster/operations/remote-operations.js';
import { redisUnavailable } from '../../../lib/jobs/errors.js';
import { until } from '../../support/until.js';

const ENDED = { id: 'wf_1', kind: 'workflow', principal: 'me', attempt: 1, createdAtMs: 0 };
const lost = () => Object.assign(redisUnavailable(), { uncertain: true });

/** A retry whose answer is lost, and the answers of Redis to the repeated call. */
async function retryWith(answers) {
  const asked = [];
  let deadline = 100;
  const cluster = {
    process: 'p',
    deadlineUs: () => String((deadline += 1)),
    redisNowMs: () => 0,
    calls: {
      run(_name, _keys, args) {
        if (isLost) return again(args);
        isLost = true;
        return Promise.reject(lost());
      },
    },
    redis: { run: (_name, _keys, args) => again(args) },
  };
  let isLost = false;
  async function again(args) {
    asked.push(args);
    const answer = answers[asked.length - 1];
    if (answer instanceof Error) throw answer;
    return answer;
  }
  const begun = [];
  const remote = new RemoteOperations({
    cluster,
    operations: { get: () => undefined },
    replicas: { take: () => ({ handle: 7 }) },
  });
  const retried = remote.reopen(ENDED, {
    parts: { asked: {}, taken() {}, refused: () => new Error('refused') },
    ...{ limits: { maxWallMs: 1, retentionMs: 1 }, snapshot: '{}', changes: [] },
    begin: (handle) => void begun.push(handle),
  });
  await expect(retried).rejects.toMatchObject({ status: 503 });
  await until(() => asked.length === answers.length, 'all answers');
  await new Promise(setImmediate);
  return { asked, begun };
}

describe('a retry with a lost answer', () => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  beforeAll(() => process.on('unhandledRejection', note));
  afterAll(() => process.off('unhandledRejection', note));

  test('runs if Redis has started it, and does not start after its deadline', async () => {
    const { asked, begun } = await retryWith([lost(), ['OK', '']]);
    expect(begun).toEqual([7]);
    expect(asked[1]).toEqual(asked[0]);
    expect(asked[0].slice(0, 3)).toEqual(['', '101', 'p']);
  });

  test.each(['REFUSED', 'BURIED', 'LATE', 'MOVED', 'GONE'])(
    'ends quietly when Redis answers %s then',
    async (word) => {
      const { begun } = await retryWith([[word, 'quota', '[]']]);
      expect([begun, unhandled]).toEqual([[], []]);
    },
  );
});
