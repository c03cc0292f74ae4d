import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  UsageError,
  describeFlags,
  flagsFrom,
  optionsFrom,
  parseFlags,
} from '../../../lib/cli/flags.js';

const rows = [
  {
    ...{ path: 'batching.maxBatchSize', type: 'integer', max: 10, default: 8 },
    ...{ flag: 'max-batch-size', help: 'prompts in one [call](a.md) of `x`' },
  },
  { path: 'batching.maxWaitMs', type: 'milliseconds', flag: 'max-wait-ms', help: 'longest wait' },
  {
    ...{ path: 'maxConcurrency', type: 'integer', default: 5, defaultText: '5, or `64`' },
    ...{ flag: 'max-concurrency', formerly: 'maxInFlightBatches', help: 'calls' },
  },
  {
    path: 'egress',
    type: 'choice',
    choices: ['a', 'b'],
    default: 'a',
    flag: 'egress',
    help: 'who',
  },
  { path: 'open', type: 'boolean', default: false, flag: 'open', help: 'for all' },
  { path: 'logs.files', type: 'strings', flag: 'log-file', flagValue: 'FILE', help: 'logs' },
  { path: 'clock', type: 'other', help: 'no flag' },
];
const flags = {
  ...flagsFrom(rows),
  output: { type: 'string', alias: 'out', help: 'results' },
  top: { type: 'integer', default: 10, help: 'rows' },
  config: { type: 'string', help: 'file' },
};
const parse = (...argv) => parseFlags(flags, argv);

describe('flags of a table', () => {
  test('are applied by the code that receives the options', () => {
    const { values } = parse();
    expect(values).toEqual({ top: 10 });
    expect(optionsFrom(rows, values)).toEqual({});
  });

  test('become its options, nested', () => {
    const { values } = parse(
      ...['--max-batch-size', '3', '--max-wait-ms=0', '--egress', 'b', '--open'],
      ...['--log-file', 'f', '--log-file', 'g', '--max-concurrency', '7'],
    );
    expect(optionsFrom(rows, values)).toEqual({
      batching: { maxBatchSize: 3, maxWaitMs: 0 },
      ...{ egress: 'b', open: true, logs: { files: ['f', 'g'] }, maxConcurrency: 7 },
    });
  });

  test('may be filled in by the command', () => {
    const { values } = parseFlags(flagsFrom(rows, { fillIn: true }), []);
    expect(values).toMatchObject({ maxBatchSize: 8, maxConcurrency: 5, open: false, egress: 'a' });
  });

  test('keep its ranges', () => {
    expect(() => parse('--max-batch-size', '0')).toThrow(
      '--max-batch-size takes an integer from 1 to 10, not "0"',
    );
    expect(() => parse('--max-batch-size', '11')).toThrow('from 1 to 10');
    expect(() => parse('--max-wait-ms', '-1')).toThrow(UsageError);
    expect(() => parse('--egress', 'c')).toThrow('--egress takes a, b, not "c"');
  });

  test('are described with the defaults, without Markdown', () => {
    const lines = describeFlags(flags).split('\n');
    const line = (name) =>
      lines.find((text) => text.startsWith(`  --${name} `)).replace(/ +/g, ' ');
    expect(line('max-batch-size')).toBe(' --max-batch-size N prompts in one call of x (default 8)');
    expect(line('max-concurrency')).toBe(' --max-concurrency N calls (default 5, or 64)');
    expect(line('open')).toBe(' --open for all');
    expect(line('log-file')).toBe(' --log-file FILE logs');
    expect(lines.join('')).not.toContain('in-flight');
  });
});

describe('second names', () => {
  test('an alias is the flag', () => {
    expect(parse('--out', 'f').values.output).toBe('f');
    expect(parse('--output', 'f').values.output).toBe('f');
    expect(() => parse('--out', 'f', '--output', 'g')).toThrow(
      '--output and --out are the same option; give one of them',
    );
  });

  test('an old name is the flag, with one line on stderr', () => {
    const write = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      expect(parse('--max-in-flight-batches', '3').values.maxConcurrency).toBe(3);
      expect(parse('--max-in-flight-batches', '4').values.maxConcurrency).toBe(4);
      expect(write.mock.calls.map(([text]) => text)).toEqual([
        'sluice: --max-in-flight-batches is now --max-concurrency; the next version drops the old name\n',
      ]);
    } finally {
      write.mockRestore();
    }
    expect(() => parse('--max-in-flight-batches', '0')).toThrow(/^--max-in-flight-batches takes/);
    expect(() => parse('--max-in-flight-batches', '1', '--max-concurrency', '1')).toThrow(
      /are the same option/,
    );
  });
});

test.each([
  [['--max-batch', '3'], "unknown option '--max-batch'; did you mean --max-batch-size?"],
  [['--egres=a'], "unknown option '--egres'; did you mean --egress?"],
  [['--hlep'], "unknown option '--hlep'; did you mean --help?"],
  [['--verbose'], "unknown option '--verbose'"],
  [['-v'], "unknown option '-v'"],
])('%j', (argv, message) => {
  expect(() => parse(...argv)).toThrow(new UsageError(message));
});

describe('a configuration file', () => {
  let folder;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-flags-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const config = (members, ...argv) => {
    const path = join(folder, 'c.json');
    writeFileSync(path, JSON.stringify(members));
    return parse('--config', path, ...argv).values;
  };

  test('has flags by either form of their names, and by their second names', () => {
    expect(config({ 'max-batch-size': 2, egress: 'b' })).toMatchObject({
      maxBatchSize: 2,
      egress: 'b',
    });
    expect(config({ maxBatchSize: 2, out: 'f' })).toMatchObject({ maxBatchSize: 2, output: 'f' });
    expect(config({ maxBatchSize: 2 }, '--max-batch-size', '3')).toMatchObject({ maxBatchSize: 3 });
    expect(config({ logFile: 'f' }).logFile).toEqual(['f']);
    expect(config({ logFile: ['f', 'g'] }).logFile).toEqual(['f', 'g']);
  });

  test('may have an old name, with a warning', () => {
    const write = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      expect(config({ maxInFlightBatches: 3 }).maxConcurrency).toBe(3);
      expect(write.mock.calls[0][0]).toMatch(
        /c\.json: \/maxInFlightBatches is now \S+ \/maxConcurrency;/,
      );
    } finally {
      write.mockRestore();
    }
  });

  test.each([
    [{ egres: 'a' }, /c\.json: \/egres is not an option; did you mean \/egress\?$/],
    [{ verbose: 1 }, /c\.json: \/verbose is not an option$/],
    [{ maxBatchSize: 1, 'max-batch-size': 1 }, /are the same option/],
    [{ maxBatchSize: 0 }, /c\.json: \/maxBatchSize takes an integer from 1 to 10/],
  ])('%j is refused', (members, message) => {
    expect(() => config(members)).toThrow(message);
  });
});
