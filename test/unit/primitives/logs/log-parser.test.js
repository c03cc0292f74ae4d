/** LogParser as its user meets it: options, events, sources, silence, sums. */
import fc from 'fast-check';
import { LogParser, ManualClock, SluiceError } from '../../../../lib/index.js';

const summary = (events) => events.map(({ level, lines }) => `${level} ${lines.length}`);

describe('events', () => {
  test('have a time, a level, a source, a message and their lines', () => {
    const parser = new LogParser();
    const events = parser.push(
      '2026-11-21 10:00:00.250 ERROR [main] Bar - failed\r\n' +
        'java.lang.IllegalStateException: outer\r\n\tat x.Y.z(Y.java:1)\r\n' +
        'Caused by: java.io.IOException: disk\r\n\t... 12 more\r\n' +
        '{"level":30,"time":1795233374123,"msg":"é","pid":1}\n',
      { source: 'app' },
    );
    expect(events).toEqual([
      {
        timestamp: Date.UTC(2026, 10, 21, 10, 0, 0, 250),
        level: 'error',
        source: 'app',
        message:
          '[main] Bar - failed\njava.lang.IllegalStateException: outer\n\tat x.Y.z(Y.java:1)\n' +
          'Caused by: java.io.IOException: disk\n\t... 12 more',
        lines: [
          '2026-11-21 10:00:00.250 ERROR [main] Bar - failed',
          'java.lang.IllegalStateException: outer',
          '\tat x.Y.z(Y.java:1)',
          'Caused by: java.io.IOException: disk',
          '\t... 12 more',
        ],
      },
      {
        timestamp: 1795233374123,
        level: 'info',
        source: 'app',
        message: 'é',
        lines: ['{"level":30,"time":1795233374123,"msg":"é","pid":1}'],
      },
    ]);
    expect(parser.end()).toEqual([]);
  });

  test('without a date, or with a time of day alone, have no timestamp', () => {
    const parser = new LogParser();
    parser.push('plain\n10:20:30 WARN low\n');
    const [warn] = parser.end();
    expect(warn).toEqual({
      timestamp: null,
      level: 'warn',
      source: '',
      message: 'low',
      lines: ['10:20:30 WARN low'],
    });
  });

  test('keep and count malformed input, and report omitted text', () => {
    const parser = new LogParser({ maxLines: 2 });
    const events = [
      ...parser.push(Buffer.from([0x61, 0xff, 0x0a])),
      ...parser.push('{"level":50,"msg":"bro\n'),
      ...parser.push('Error: x\n  at a\n  at b\n'),
      ...parser.end(),
    ];
    expect(events).toMatchObject([
      { message: 'a\uFFFD', malformed: true },
      { message: '{"level":50,"msg":"bro', level: 'error', malformed: true },
      { lines: ['Error: x', '  at a'], truncated: true },
    ]);
    expect('malformed' in events[2]).toBe(false);
    expect(parser.stats()).toEqual({
      bytes: 3 + 23 + 23,
      lines: 5,
      events: 3,
      errors: 2,
      malformed: 2,
      truncated: 1,
    });
  });

  test('are the same however a string or its bytes are cut', () => {
    const line = fc.constantFrom(
      'ERROR é€😀',
      'Error: a',
      '    at b',
      '',
      'plain',
      '{"level":50,"msg":"😀"}',
      'Traceback (most recent call last):',
      '  File "x"',
      'KeyError: 1',
    );
    const end = fc.constantFrom('\n', '\r\n');
    const text = fc.array(fc.tuple(line, end)).map((lines) => lines.flat().join(''));
    const parse = (chunks) => {
      const parser = new LogParser();
      return [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end()];
    };
    fc.assert(
      fc.property(text, fc.array(fc.nat(40)), (whole, sizes) => {
        const cut = (input, slice) => {
          const pieces = [];
          let at = 0;
          for (const size of sizes) pieces.push(slice(input, at, (at += size)));
          return [...pieces, slice(input, at)];
        };
        const expected = parse([whole]);
        const strings = cut(whole, (input, from, to) => input.slice(from, to));
        const bytes = cut(Buffer.from(whole), (input, from, to) => input.subarray(from, to));
        expect(parse(strings)).toEqual(expected);
        expect(parse(bytes)).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  test('half a surrogate pair at the end becomes a replacement character', () => {
    const parser = new LogParser();
    parser.push('a\uD83D');
    expect(parser.end()).toMatchObject([{ message: 'a\uFFFD' }]);
  });
});

describe('sources', () => {
  test('have separate events', () => {
    const parser = new LogParser();
    parser.push('Error: one\n', { source: 'a' });
    parser.push('Error: two\n', { source: 'b' });
    parser.push('  at x\n', { source: 'a' });
    expect(parser.end({ source: 'a' })).toMatchObject([
      { source: 'a', message: 'Error: one\n  at x' },
    ]);
    expect(parser.stats({ source: 'a' })).toMatchObject({ lines: 2, events: 1 });
    expect(parser.stats({ source: 'b' })).toMatchObject({ lines: 1, events: 0 });
    expect(parser.stats({ source: 'none' })).toMatchObject({ lines: 0 });
    expect(parser.end({ source: 'none' })).toEqual([]);
    expect(parser.end()).toMatchObject([{ source: 'b', message: 'Error: two' }]);
  });

  test('beyond the limit the one silent for longest is ended', () => {
    const parser = new LogParser({ maxSources: 2 });
    parser.push('one\n', { source: 'a' });
    parser.push('two\n', { source: 'b' });
    // A refused call adds no source.
    expect(() => parser.push(5, { source: 'z' })).toThrow('chunk');
    parser.push('  more\n', { source: 'a' });
    expect(parser.push('three\n', { source: 'c' })).toMatchObject([{ source: 'b' }]);
    expect(parser.end()).toMatchObject([
      { source: 'a', lines: ['one', '  more'] },
      { source: 'c' },
    ]);
    expect(parser.stats().events).toBe(3);
  });
});

test('silence ends an event, at the next call of any kind', () => {
  const clock = new ManualClock();
  const parser = new LogParser({ clock, flushMs: 500 });
  expect(parser.nextFlushMs()).toBe(Infinity);
  expect(parser.push('Error: a\n', { source: 'a' })).toEqual([]);
  expect(parser.nextFlushMs()).toBe(500);
  clock.advanceMs(499);
  expect(parser.flush()).toEqual([]);
  clock.advanceMs(1);
  expect(parser.flush()).toMatchObject([{ message: 'Error: a' }]);
  parser.push('Error: b\n', { source: 'a' });
  clock.advanceMs(500);
  expect(parser.push('', { source: 'b' })).toMatchObject([{ message: 'Error: b' }]);
  const patient = new LogParser({ clock, flushMs: Infinity });
  patient.push('Error: c\n');
  clock.advanceMs(1e6);
  expect(patient.flush()).toEqual([]);
});

describe('patterns', () => {
  test('determine the lines that begin an event', () => {
    const parser = new LogParser({ start: [/^# /, '^> '] });
    parser.push('# a\nb\nError: c\n> d\n');
    expect(parser.stats().events).toBe(1);
    expect(parser.end()).toMatchObject([{ lines: ['> d'] }]);
    const other = new LogParser({ continuation: /^\+/i });
    expect(summary([...other.push('a\n+b\nc\n'), ...other.end()])).toEqual(['null 2', 'null 1']);
  });

  test.each([
    [{ start: /a(?=b)/ }, RangeError, 'lookaround'],
    [{ continuation: '(a' }, RangeError, '/(a/: a ( is not closed'],
    [{ start: /a/y }, RangeError, 'start'],
    [{ start: 5 }, TypeError, 'start'],
  ])('%p is refused', (options, kind, message) => {
    expect(() => new LogParser(options)).toThrow(kind);
    expect(() => new LogParser(options)).toThrow(message);
  });
});

test('only the given formats are detected', () => {
  const parser = new LogParser({ formats: ['redis'] });
  const events = [
    ...parser.push('ERROR a\n14:M 21 Nov 2026 03:56:14.123 # b\n{"level":50\n'),
    ...parser.end(),
  ];
  expect(events.map(({ level }) => level)).toEqual([null, 'warn', null]);
  expect(parser.stats().malformed).toBe(0);
});

test('times without a zone or a year are completed by the options', () => {
  const parser = new LogParser({ utcOffsetMinutes: 120, referenceMs: Date.UTC(2020, 0, 1) });
  parser.push('Dec 31 02:00:00 host app: x\n');
  expect(parser.end()[0].timestamp).toBe(Date.UTC(2019, 11, 31));
});

describe('topErrors', () => {
  const at = (second, text) => `2026-11-21T10:00:${String(second).padStart(2, '0')}Z ${text}\n`;
  const fed = () => {
    const parser = new LogParser();
    parser.count(
      at(1, 'ERROR connect to 10.0.0.1 failed') +
        at(2, 'INFO fine') +
        at(3, 'FATAL out of memory') +
        at(4, 'ERROR connect to 10.0.0.2 failed') +
        at(5, 'WARN low') +
        at(6, 'ERROR bad gateway'),
    );
    parser.end();
    return parser;
  };
  const start = Date.UTC(2026, 10, 21, 10);

  test('the most frequent come first, equal ones by template', () => {
    const parser = fed();
    expect(parser.topErrors()).toEqual([
      {
        template: 'connect to <*> failed',
        count: 2,
        firstMs: start + 1000,
        lastMs: start + 4000,
        sample: 'connect to 10.0.0.1 failed',
      },
      ...[
        ['bad gateway', 6000],
        ['out of memory', 3000],
      ].map(([template, ms]) => ({
        template,
        count: 1,
        firstMs: start + ms,
        lastMs: start + ms,
        sample: template,
      })),
    ]);
    expect(parser.topErrors({ k: 1 })).toHaveLength(1);
  });

  test('a window ends at the newest event, or at the given time', () => {
    const parser = fed();
    const templates = (options) => parser.topErrors(options).map(({ template }) => template);
    // (2 s, 6 s]: the one at 2 is not in, the one at 6 is.
    expect(parser.topErrors({ windowMs: 4000 }).map(({ count }) => count)).toEqual([1, 1, 1]);
    expect(templates({ windowMs: 2000 })).toEqual(['bad gateway']);
    expect(templates({ windowMs: 2001 })).toEqual(['bad gateway', 'connect to <*> failed']);
    expect(templates({ windowMs: 1000, nowMs: start + 3500 })).toEqual(['out of memory']);
    expect(templates({ windowMs: 1000, nowMs: start + 60_000 })).toEqual([]);
  });
});

test('errors returns only errors', () => {
  const parser = new LogParser();
  const found = parser.errors('INFO a\nERROR b\nWARN c\nFATAL d\nINFO e\n');
  expect(found.map(({ message }) => message)).toEqual(['b', 'd']);
  expect(parser.stats()).toMatchObject({ events: 4, errors: 2 });
});

describe('bad options are named', () => {
  test.each([
    [() => new LogParser({ flush: 1 }), TypeError, 'flush'],
    [() => new LogParser({ flushMs: -1 }), RangeError, 'flushMs'],
    [() => new LogParser({ maxLines: 0 }), RangeError, 'maxLines'],
    [() => new LogParser({ maxBytes: '1' }), TypeError, 'maxBytes'],
    [() => new LogParser({ formats: ['xml'] }), RangeError, 'formats'],
    [() => new LogParser({ formats: 'json' }), TypeError, 'formats'],
    [() => new LogParser({ clock: {} }), TypeError, 'clock'],
    [() => new LogParser().push(5), TypeError, 'chunk'],
    [() => new LogParser().push('', { source: 5 }), TypeError, 'source'],
    [() => new LogParser().topErrors({ k: 0 }), RangeError, 'k takes'],
    [() => new LogParser().topErrors({ windowMs: 86_400_001 }), RangeError, 'windowMs'],
  ])('%s', (call, kind, message) => {
    expect(call).toThrow(kind);
    expect(call).toThrow(message);
    expect(call).toThrow(SluiceError);
  });
});

describe('containers', () => {
  const parse = (text, options) => {
    const parser = new LogParser(options);
    return [...parser.push(text), ...parser.end()];
  };

  test('lines of CRI are joined from their parts, without the envelope', () => {
    expect(
      parse(
        '2026-11-21T03:56:14.123456789Z stdout P ERROR one \n' +
          '2026-11-21T03:56:14.223456789Z stdout F two\n',
      ),
    ).toEqual([
      {
        timestamp: Date.UTC(2026, 10, 21, 3, 56, 14, 123),
        level: 'error',
        source: '',
        message: 'one two',
        lines: ['ERROR one two'],
      },
    ]);
  });

  test('name their container', () => {
    const text = 'web-1  | Error: x\ndb-1   | plain\nweb-1  |     at f (a.js:1:2)\n';
    expect(parse(text).map(({ container, lines }) => [container, lines])).toEqual([
      ['db-1', ['plain']],
      ['web-1', ['Error: x', '    at f (a.js:1:2)']],
    ]);
  });

  test('are ignored if other formats are given', () => {
    const [event] = parse('web-1  | ERROR x\n', { formats: ['levelled'] });
    expect(event).toMatchObject({ level: null, lines: ['web-1  | ERROR x'] });
    expect(event).not.toHaveProperty('container');
  });
});

test('a file in UTF-16 is read', () => {
  const parser = new LogParser();
  const bytes = Buffer.from('\uFEFF2026-11-21 03:56:14 ERROR böse 😀\r\n', 'utf16le');
  const events = [...parser.push(bytes.subarray(0, 9)), ...parser.push(bytes.subarray(9))];
  expect([...events, ...parser.end()]).toMatchObject([{ level: 'error', message: 'böse 😀' }]);
});

test('patterns may name their groups', () => {
  const parser = new LogParser({ start: /^(?<day>\d+)\/(?<month>\d+) / });
  const events = [...parser.push('21/11 one\nmore\n22/11 two\n'), ...parser.end()];
  expect(events.map(({ lines }) => lines)).toEqual([['21/11 one', 'more'], ['22/11 two']]);
  expect(() => new LogParser({ start: /(?<a>x)\k<a>/ })).toThrow(/back-references/);
});
