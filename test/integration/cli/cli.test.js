/** The command line as a user runs it: a process, its output, its exit code. */
import { accessSync, constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { file, killAll, main, removeFiles, serve, sluice } from '../../support/crash/cli.js';
import { until } from '../../support/until.js';

afterEach(killAll);
afterAll(removeFiles);

describe('sluice serve', () => {
  test('serves, logs to stderr, and SIGTERM ends streams and the process in order', async () => {
    const { child, exited, submit, stream } = await serve(
      '--token-interval-ms',
      '30',
      '--drain-ms',
      '100',
    );
    const { body } = await submit({ prompt: 'a' });
    const open = await stream(body.stream_url);
    await until(() => open.events.length > 1, 'two tokens');
    child.kill('SIGTERM');
    const events = await open.done;
    expect(events.at(-1)).toMatchObject({ type: 'job_cancelled', data: { reason: 'shutdown' } });
    const { code, stdout, stderr } = await exited;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^listening on \S+\n$/);
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toContainEqual(
      expect.objectContaining({ job_id: body.job_id, status: 'cancelled', reason: 'shutdown' }),
    );
  });

  test('SIGTERM lets a job finish within the drain', async () => {
    const { child, exited, submit, stream } = await serve('--token-interval-ms', '20');
    const { body } = await submit({ prompt: 'a', max_tokens: 20 });
    const open = await stream(body.stream_url);
    await until(() => open.events.length > 1, 'two tokens');
    child.kill('SIGINT');
    expect((await open.done).at(-1)).toMatchObject({ type: 'job_complete' });
    const { code, stderr } = await exited;
    expect(code).toBe(0);
    const hint = 'sluice: draining for up to 10 s; press Ctrl-C again to quit at once\n';
    expect(stderr.split(hint)).toHaveLength(2);
  });

  test('a second signal does not wait', async () => {
    const { child, exited, submit, get } = await serve('--token-interval-ms', '60000');
    await submit({ prompt: 'a' });
    child.kill('SIGTERM');
    await until(async () => (await get('/readyz')).status === 503, 'the drain to begin');
    child.kill('SIGTERM');
    expect((await exited).code).toBe(143);
  });

  test('takes its options from a file, flags win', async () => {
    const path = await file(
      'config.json',
      JSON.stringify({ tokenIntervalMs: 60_000, 'max-batch-size': 2 }),
    );
    const { child, exited, submit, ended } = await serve(
      '--config',
      path,
      '--token-interval-ms',
      '1',
    );
    const { body } = await submit({ prompt: 'a', max_tokens: 3 });
    expect(await ended(body.job_id)).toMatchObject({ status: 'completed', reason: 'length' });
    child.kill('SIGTERM');
    expect((await exited).code).toBe(0);
  });

  test('a port in use is one line and exit code 1', async () => {
    const { url } = await serve();
    const { code, stdout, stderr } = await sluice('serve', '--port', new URL(url).port).exited;
    expect(code).toBe(1);
    expect(stdout).toBe('');
    const { port } = new URL(url);
    expect(stderr).toBe(`sluice: Port ${port} is in use; try --port 0 (EADDRINUSE)\n`);
  });
});

describe('mistakes are one line on stderr and exit code 2', () => {
  test.each([
    [[], /a command is needed/],
    [['server'], /unknown command 'server'; did you mean serve\? See sluice --help$/m],
    [['fetch'], /unknown command 'fetch'; the commands are serve, run/],
    [['--verbose'], /unknown option '--verbose'/],
    [
      ['serve', '--prot', '1'],
      /^sluice: unknown option '--prot'; did you mean --port\? See sluice serve --help$/m,
    ],
    [['serve', '--verbose'], /^sluice: unknown option '--verbose'; see sluice serve --help$/m],
    [['run', 'f', '--maxBatchSize', '1'], /did you mean --max-batch-size\?/],
    [['run', 'f', '--out', 'a', '--output', 'b'], /--output and --out are the same option/],
    [
      ['serve', '--provider', 'demo', '--upstream', 'http://127.0.0.1:1'],
      /--upstream goes with --provider openai, not demo/,
    ],
    [['serve', '--max-in-flight-batches', '0'], /--max-in-flight-batches takes an integer from 1/],
    [['serve', 'extra'], /extra/],
    [['serve', '--port'], /--port/],
    [['serve', '--port', '99999'], /--port takes an integer from 0 to 65535, not "99999"/],
    [['serve', '--port', 'http'], /--port takes an integer/],
    [['serve', '--max-batch-size', '0'], /--max-batch-size takes/],
    [['serve', '--provider', 'gpt'], /--provider takes demo, openai, llama/],
    [['serve', '--provider', 'openai'], /needs --upstream/],
    [['serve', '--provider', 'openai', '--upstream', 'nowhere'], /--upstream takes an http/],
    [
      ['serve', '--upstream', 'localhost:11434'],
      /not "localhost:11434"; did you mean http:\/\/localhost:11434\? See sluice serve --help$/m,
    ],
    [['serve', '--provider', 'llama'], /needs --model/],
    [
      ['serve', '--model', 'llama3.2'],
      /--model goes with --upstream URL, or with --provider llama/,
    ],
    [['serve', '--config', '/nonexistent.json'], /nonexistent\.json cannot be read/],
    [['run'], /takes one FILE/],
    [['run', '/nonexistent.jsonl'], /nonexistent\.jsonl cannot be read/],
  ])('sluice %j', async (args, message) => {
    const { code, stdout, stderr } = await sluice(...args).exited;
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test.each([
    ['{"port":"high"}', /bad\.json: \/port takes an integer/],
    ['{"prot":1}', /bad\.json: \/prot is not an option; did you mean \/port\?/],
    ['{"port":', /bad\.json is not JSON/],
    ['[]', /bad\.json must hold a JSON object/],
  ])('a config of %s names the file and the path', async (content, message) => {
    const path = await file('bad.json', content);
    const { code, stderr } = await sluice('serve', '--config', path).exited;
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });
});

test.each([
  [['--help'], 'COMMAND'],
  [['help'], 'COMMAND'],
  [['help', 'run'], 'run'],
  [['serve', '--help'], 'serve'],
  [['run', '--help'], 'run'],
  [['key', '--help'], 'key'],
])('%j is help', async (args, subject) => {
  const { code, stdout, stderr } = await sluice(...args).exited;
  expect(stdout).toMatch(new RegExp(`^Usage: sluice ${subject} `));
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

test('the help of serve names every flag of the contract', async () => {
  const { stdout } = await sluice('serve', '--help').exited;
  const flags =
    'port host provider upstream upstream-idle-ms mode model token-interval-ms ' +
    'max-concurrency max-batch-size idle-flush-ms incoming-capacity config';
  for (const flag of flags.split(' ')) expect(stdout).toContain(`--${flag} `);
});

test('the file is executable', () => {
  expect(() => accessSync(main, constants.X_OK)).not.toThrow();
});

describe('sluice run', () => {
  const lines = (text) =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

  test.each(['--out', '--output'])(
    'answers each line in the order of the input (%s)',
    async (option) => {
      const input = await file(
        'in.jsonl',
        '"first"\n\n{"id":"b","prompt":"second","max_tokens":2}\n{"messages":[{"role":"user","content":"c"}]}\n',
      );
      const out = await file('out.jsonl', '');
      const { code, stdout, stderr } = await sluice(
        'run',
        input,
        option,
        out,
        '--token-interval-ms',
        '1',
      ).exited;
      expect(stderr).toBe('');
      expect(stdout).toBe('');
      expect(code).toBe(0);
      const results = lines(await readFile(out, 'utf8'));
      expect(results.map(({ index, id, reason }) => [index, id, reason])).toEqual([
        [0, undefined, 'stop'],
        [1, 'b', 'length'],
        [2, undefined, 'stop'],
      ]);
      expect(results[1].usage.completion_tokens).toBe(2);
      expect(results[0].text.startsWith(results[1].text)).toBe(true);
    },
  );

  test('--upstream implies the provider openai', async () => {
    const input = await file('upstream.jsonl', '"a"\n');
    const { code, stdout, stderr } = await sluice(
      ...['run', input, '--upstream', 'http://127.0.0.1:1', '--retry-attempts', '1'],
    ).exited;
    // The demo provider would have answered.
    expect(lines(stdout)).toMatchObject([
      { index: 0, text: '', error: { type: 'upstream_error' } },
    ]);
    expect(stderr).toBe('sluice: 1 of 1 prompt failed; see "error" in the results\n');
    expect(code).toBe(1);
  });

  test('the old name of --max-concurrency works, with one line on stderr', async () => {
    const input = await file('one.jsonl', '"a"\n');
    const { code, stdout, stderr } = await sluice(
      ...['run', input, '--token-interval-ms', '0', '--max-in-flight-batches', '2'],
    ).exited;
    expect(stderr).toBe(
      'sluice: --max-in-flight-batches is now --max-concurrency; the next version drops the old name\n',
    );
    expect(code).toBe(0);
    expect(lines(stdout)).toHaveLength(1);
  });

  test('Ctrl-C writes the results so far, and prints how to quit at once', async () => {
    const { child, output, exited } = sluice(
      ...[
        'run',
        '-',
        '--token-interval-ms',
        '200',
        '--max-concurrency',
        '1',
        '--max-batch-size',
        '1',
      ],
    );
    child.stdin.write('{"prompt":"a","max_tokens":1}\n"b"\n');
    await until(() => output.stdout.endsWith('\n'), 'the first result');
    child.kill('SIGINT');
    child.stdin.end();
    const { code, stderr } = await exited;
    expect(stderr.trimEnd().split('\n')).toEqual([
      'sluice: writing the results so far; press Ctrl-C again to quit at once',
      'sluice: 1 of 2 prompts failed; see "error" in the results',
    ]);
    expect(code).toBe(130);
  });

  test('more lines than fit at once, from standard input', async () => {
    const { child, exited } = sluice(
      'run',
      '-',
      '--token-interval-ms',
      '0',
      '--incoming-capacity',
      '2',
    );
    child.stdin.end(
      Array.from({ length: 150 }, (_, i) =>
        JSON.stringify({ prompt: 'p', id: i, max_tokens: 1 }),
      ).join('\n'),
    );
    const { code, stdout, stderr } = await exited;
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(lines(stdout).map(({ id }) => id)).toEqual(Array.from({ length: 150 }, (_, i) => i));
  });

  test('a failed line is reported in its place, and the exit code is 1', async () => {
    const input = await file('mixed.jsonl', '"ok"\nnot json\n{"prompt":7}\n7\n"ok"\n');
    const { code, stdout, stderr } = await sluice('run', input, '--token-interval-ms', '0').exited;
    expect(code).toBe(1);
    expect(stderr).toBe('sluice: 3 of 5 prompts failed; see "error" in the results\n');
    expect(lines(stdout).map(({ error }) => error?.code)).toEqual([
      undefined,
      'invalid_json',
      'invalid_type',
      'invalid_json',
      undefined,
    ]);
  });
});
