/** `sluice logs`: the most frequent errors of log files. */
import { open } from 'node:fs/promises';
import { UsageError, configFlag, describeFlags } from './flags.js';
import { watchInterrupts } from './output.js';

/** @type {import('./flags.js').Flags} */
export const flags = {
  top: { type: 'integer', min: 1, max: 10_000, default: 10, help: 'rows of the table' },
  window: {
    type: 'string',
    value: 'SPAN',
    help: 'only errors of the last SPAN before the newest line, such as 90s, 5m, 2h, 1d; default: all',
  },
  follow: {
    type: 'boolean',
    default: false,
    help: 'keep reading as the files grow and print new errors, until interrupted',
  },
  json: { type: 'boolean', default: false, help: 'JSON instead of text' },
  ...configFlag,
};

export const summary = 'find the most frequent errors of log files';

export const help = `Usage: sluice logs FILE... [options]

Reads log files (plain or gzip, UTF-8 or UTF-16; - is standard input) and prints a table of their
errors, grouped by template, the most frequent first. Stack traces belong to the line before them.
Known formats: JSON lines, dated lines with levels, nginx, access logs, Redis, syslog, PostgreSQL,
and the lines of containers (CRI, Docker, Compose, kubectl, journald); the traces of Java, .NET,
Python, Go, Node, PHP, Ruby, Rust, Dart and the sanitizers.
--follow also reads lines appended later, over rotation and truncation, and prints the table when
interrupted. Plain files only.
The exit code is 1 if a file could not be read.

${describeFlags(flags)}
`;

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DAY_MS = UNITS_MS.d;
const PLAIN_COLUMNS = 200;

/**
 * @param {string | undefined} span
 * @returns {number | undefined} milliseconds
 */
function parseSpan(span) {
  if (span === undefined) return undefined;
  const [, number, unit = 's'] = /^(\d{1,9})(ms|s|m|h|d)?$/.exec(span) ?? [];
  const ms = Number(number) * UNITS_MS[/** @type {keyof typeof UNITS_MS} */ (unit)];
  if (ms >= 1 && ms <= 3650 * DAY_MS) return ms;
  throw new UsageError(
    `--window takes a number with ms, s, m, h or d, up to 3650d, not ${JSON.stringify(span)}`,
  );
}

/**
 * Text of a log as one line, without control characters for the terminal.
 * @param {string} text
 */
function printable(text) {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, ' ');
}

/** @param {number} ms */
function timeText(ms) {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

/** @param {number} bytes */
function sizeText(bytes) {
  const units = ['bytes', 'B', 'MB', 'GB', 'TB'];
  let [size, unit] = [bytes, 0];
  for (; size >= 1000 && unit < units.length - 1; unit += 1) size /= 1000;
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}

/**
 * @param {import('../primitives/logs/log-parser.js').TopError[]} top
 * @returns {string}
 */
function table(top) {
  if (top.length === 0) return 'no errors\n';
  const rows = top.map(({ template, count, firstMs, lastMs }) => [
    String(count),
    timeText(firstMs),
    timeText(lastMs),
    printable(template),
  ]);
  const lines = [['COUNT', 'FIRST (UTC)', 'LAST (UTC)', 'ERROR'], ...rows];
  const width = Math.max(...lines.map(([count]) => count.length));
  const columns = process.stdout.columns ?? PLAIN_COLUMNS;
  return lines
    .map(([count, first, last, error]) =>
      `${count.padStart(width)}  ${first.padEnd(19)}  ${last.padEnd(19)}  ${error}`.slice(
        0,
        columns,
      ),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** A run of the command: its parser and its output. */
class Report {
  #files;
  #values;
  #windowMs;
  #startMs = performance.now();

  /**
   * @param {typeof import('../primitives/logs/log-parser.js').LogParser} LogParser
   * @param {typeof import('../http/routes/logs.js')} view
   * @param {string[]} files
   * @param {Record<string, any>} values of the flags
   */
  constructor(LogParser, view, files, values) {
    this.#files = files;
    this.#values = values;
    this.#windowMs = parseSpan(values.window);
    this.view = view;
    this.parser = new LogParser({
      // The speed of reading must not change the grouping.
      flushMs: values.follow ? 1000 : Infinity,
      maxWindowMs: Math.max(this.#windowMs ?? 0, DAY_MS),
      maxSources: files.length + 1,
    });
  }

  /** @param {import('../primitives/logs/log-parser.js').LogEvent[]} events */
  live(events) {
    for (const event of events) {
      if (event.level !== 'error' && event.level !== 'fatal') continue;
      const { timestamp, level, source, message } = event;
      const time = timestamp === null ? '-' : new Date(timestamp).toISOString();
      process.stdout.write(
        this.#values.json
          ? `${JSON.stringify(event)}\n`
          : `${time} ${level} ${source}: ${printable(message.split('\n', 1)[0])}\n`,
      );
    }
  }

  /** Prints the counts and the table. */
  print() {
    const top = this.parser.topErrors({ k: this.#values.top, windowMs: this.#windowMs });
    const stats = this.parser.stats();
    if (this.#values.json) {
      const files = this.#files;
      const data = top.map(this.view.topErrorToJson);
      process.stdout.write(`${JSON.stringify({ files, ...stats, top: data })}\n`);
      return;
    }
    const { bytes, lines, events, errors, malformed, truncated } = stats;
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1);
    process.stdout.write(
      `${sizeText(bytes)} in ${seconds} s: ${lines} lines, ${events} events, ${errors} errors, ` +
        `${malformed} malformed lines, ${truncated} events cut\n${table(top)}`,
    );
  }
}

/**
 * @param {string} file
 * @param {any} error
 */
function complain(file, error) {
  const reason = String(error.code).startsWith('Z_') ? `broken gzip, ${error.message}` : error.code;
  process.stderr.write(`sluice: ${file} cannot be read (${reason ?? error.message})\n`);
}

/**
 * @param {Report} report
 * @param {string} file
 * @param {AbortSignal} signal
 */
async function readFile({ parser }, file, signal) {
  const { fileChunks, plainChunks } = await import('../primitives/logs/decompress.js');
  const handle = file === '-' ? undefined : await open(file, 'r');
  try {
    const raw = handle === undefined ? process.stdin : fileChunks(handle);
    const source = { source: file };
    for await (const chunk of plainChunks(raw)) {
      if (signal.aborted) break;
      parser.count(chunk, source);
    }
  } finally {
    parser.end({ source: file });
    await handle?.close();
  }
}

/**
 * @param {Report} report
 * @param {string} file
 * @param {AbortSignal} signal
 */
async function follow(report, file, signal) {
  const { followFile } = await import('../primitives/logs/tail.js');
  const { parser } = report;
  const source = { source: file };
  await followFile(file, {
    signal,
    onChunk: (chunk) => report.live(parser.errors(chunk, source)),
    onRestart: () => report.live(parser.end(source)),
    onIdle: () => report.live(parser.flush()),
  });
  report.live(parser.end(source));
}

export const parsing = { positionals: true };

/**
 * @param {import('./flags.js').Parsed} parsed
 * @returns {Promise<number>} exit code
 */
export async function run({ positionals, values }) {
  const files = [...new Set(positionals)];
  if (files.length === 0) {
    throw new UsageError('logs takes one file or more, or - for standard input');
  }
  if (values.follow && files.includes('-')) {
    throw new UsageError('--follow takes files, not standard input');
  }
  parseSpan(values.window);
  const [{ LogParser }, view] = await Promise.all([
    import('../primitives/logs/log-parser.js'),
    import('../http/routes/logs.js'),
  ]);
  const report = new Report(LogParser, view, files, values);
  const { signal, release } = watchInterrupts();
  // The reader of the output may end early (`| head`).
  process.stdout.on('error', () => process.exit(0));
  let failed = false;
  const attempt = async (/** @type {typeof follow} */ read, /** @type {string} */ file) => {
    try {
      await read(report, file, signal);
    } catch (error) {
      complain(file, error);
      failed = true;
    }
  };
  if (values.follow) await Promise.all(files.map((file) => attempt(follow, file)));
  else for (const file of files) if (!signal.aborted) await attempt(readFile, file);
  release();
  report.print();
  return failed ? 1 : 0;
}
