/**
 * The processes of a benchmark: started one by one, each on its own port of 127.0.0.1, and all
 * ended when the runner ends, however it does.
 */
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

/** A server that has reported its address. */
export class ServerProcess {
  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {number} port
   */
  constructor(child, port) {
    this.child = child;
    this.port = port;
    this.pid = /** @type {number} */ (child.pid);
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Ends it at once: its remaining output is not needed. */
  async stop() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }
}

/**
 * Starts a command and waits for `listening on http://127.0.0.1:PORT` on its standard output, or,
 * when `port` is given, until that port accepts connections.
 * @param {string[]} command
 * @param {{env?: Record<string, string>, port?: number, isHttp?: boolean}} [options] `isHttp` false: a connection is
 *   enough
 * @returns {Promise<ServerProcess>}
 */
export async function startServer([file, ...args], { env = {}, port, isHttp = true } = {}) {
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  running.add(child);
  let output = '';
  let complaints = '';
  child.stderr.on('data', (bytes) => (complaints = (complaints + bytes).slice(-2000)));
  const failed = new Promise((_resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => {
      running.delete(child);
      reject(new Error(`${file} ${args.join(' ')} ended: ${complaints}`));
    });
  });
  failed.catch(() => {});
  if (port !== undefined) {
    await Promise.race([failed, isHttp ? untilTaken(port) : untilOpen(port)]);
    child.stdout.resume();
    return new ServerProcess(child, port);
  }
  const announced = new Promise((resolve) => {
    child.stdout.on('data', (bytes) => {
      output = (output + bytes).slice(-2000);
      const found = /listening on http:\/\/[^:]+:(\d+)/.exec(output);
      if (found) resolve(Number(found[1]));
    });
  });
  return new ServerProcess(child, await Promise.race([failed, announced]));
}

/** Waits until a port answers requests. @param {number} port */
async function untilTaken(port) {
  for (;;) {
    try {
      await fetch(`http://127.0.0.1:${port}/`);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Waits until a port accepts connections. @param {number} port */
async function untilOpen(port) {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port that was free a moment ago, for servers that cannot pick one themselves. */
export async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address());
  probe.close();
  await once(probe, 'close');
  return port;
}

/**
 * Runs a command to its end and returns its output.
 * @param {string[]} command
 * @param {(output: string) => void} [onOutput] called with all of its output so far, when that grows
 * @returns {Promise<string>}
 */
export async function collect([file, ...args], onOutput = () => {}) {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    onOutput(output);
  });
  const [code] = await once(child, 'close');
  running.delete(child);
  if (code !== 0) throw new Error(`${file} ended with status ${code}`);
  return output;
}

/** CPU time that a process's threads have used, in nanoseconds. @param {number} pid */
export function cpuNs(pid) {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return sum;
}

/** How many descriptors a child may have open: Node raises its own limit to the hard one. */
export function descriptorLimit() {
  const line = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  return line === null || line[1] === 'unlimited' ? Infinity : Number(line[1]);
}
