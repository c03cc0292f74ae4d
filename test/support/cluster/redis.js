/** A Redis server of one test, on a free port, with its files in its own folder. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../free-port.js';
import { until } from '../until.js';

const run = promisify(execFile);

/** Commands whose reply is plain text: redis-cli does not print it as JSON. */
function parsed(stdout) {
  try {
    return JSON.parse(stdout);
  } catch {
    return stdout.trim();
  }
}

/** One `redis-server`. `stop()` ends it and removes its files. */
export class RedisServer {
  #folder;
  #args;
  #child;
  /** Arguments of redis-cli that name the user. */
  #credentials;

  #authority;

  /** @param {{args?: string[], password?: string}} [options] `args` further ones of redis-server */
  constructor({ args = [], password } = {}) {
    this.#args = [...args, ...(password === undefined ? [] : ['--requirepass', password])];
    this.#credentials = password === undefined ? [] : ['-a', password, '--no-auth-warning'];
    this.#authority = password === undefined ? '127.0.0.1' : `:${password}@127.0.0.1`;
  }

  get url() {
    return `redis://${this.#authority}:${this.port}`;
  }

  /** Creates the folder and chooses the port; default: a free one. Returns the folder. */
  async prepare(port) {
    this.#folder ??= await mkdtemp(join(tmpdir(), 'sluice-redis-'));
    this.port ??= port ?? (await freePort());
    return this.#folder;
  }

  async start(port) {
    await this.prepare(port);
    const args = [
      ...['--port', String(this.port), '--dir', this.#folder, '--bind', '127.0.0.1'],
      ...['--save', '', '--loglevel', 'warning', '--repl-diskless-sync-delay', '0', ...this.#args],
    ];
    await this.spawn(args);
  }

  /** Starts it with only these arguments. */
  async spawn(args) {
    this.#child = spawn('redis-server', args, { stdio: 'ignore' });
    await until(() => this.#answers(), 'redis-server to answer');
  }

  async #answers() {
    try {
      return (await this.call('PING')) === 'PONG';
    } catch {
      return false;
    }
  }

  /** Runs a command, given as words; resolves with its parsed JSON reply, or with its text (INFO and the like). */
  async call(...words) {
    const args = ['-p', String(this.port), ...this.#credentials, '--json', ...words.map(String)];
    const { stdout, stderr } = await run('redis-cli', args, { timeout: 20_000 });
    if (stderr !== '') throw new Error(stderr);
    const reply = parsed(stdout);
    // redis-cli writes errors of commands to standard output.
    if (typeof reply === 'string' && /^(ERR|[A-Z]+) /.test(reply) && reply.includes('ERR')) {
      throw new Error(reply);
    }
    return reply;
  }

  /** A section of INFO as an object. */
  async info(section) {
    const text = await this.call('INFO', section);
    return Object.fromEntries(
      text.split(/\r?\n/).flatMap((line) => (line.includes(':') ? [line.split(':')] : [])),
    );
  }

  /** All keys, sorted: of a small test database. */
  async keys(pattern = '*') {
    return (await this.call('KEYS', pattern)).sort();
  }

  freeze() {
    this.#child.kill('SIGSTOP');
  }

  thaw() {
    this.#child.kill('SIGCONT');
  }

  async kill() {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  async stop() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/**
 * @param {{args?: string[], password?: string, port?: number}} [options] `args` further ones of redis-server
 */
export async function startRedis({ port, ...options } = {}) {
  const server = new RedisServer(options);
  await server.start(port);
  return server;
}

/**
 * The server of a test file: starts it before the first test, and stops it after the last one.
 * @param {ConstructorParameters<typeof RedisServer>[0]} [options]
 */
export function useRedis(options) {
  const server = new RedisServer(options);
  beforeAll(() => server.start());
  afterAll(() => server.stop());
  return server;
}

/**
 * A Sentinel of one master, which counts it down after `downMs` and needs no other Sentinel for that.
 * @param {{name: string, port: number, downMs?: number}} master
 */
export async function startSentinel({ name, port: master, downMs = 300 }) {
  const sentinel = new RedisServer();
  const folder = await sentinel.prepare();
  const { port } = sentinel;
  const path = join(folder, 'sentinel.conf');
  const lines = [
    ...[`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, 'loglevel warning'],
    `sentinel monitor ${name} 127.0.0.1 ${master} 1`,
    `sentinel down-after-milliseconds ${name} ${downMs}`,
    `sentinel failover-timeout ${name} 3000`,
  ];
  await writeFile(path, lines.join('\n'));
  await sentinel.spawn([path, '--sentinel']);
  // The default is one check in ten seconds.
  for (const period of ['info-period', 'ask-period', 'ping-period']) {
    await sentinel.call('SENTINEL', 'DEBUG', period, 100);
  }
  return sentinel;
}
