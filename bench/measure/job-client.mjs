/**
 * Clients of the job row: each POSTs a job, reads its stream to the end, and begins again, all on one
 * kept connection. They are written on plain sockets so that they cost little beside the server, and
 * each answer is checked.
 */
import net from 'node:net';

const HEAD_END = '\r\n\r\n';
const BODY_END = '\r\n0\r\n\r\n';

/**
 * @typedef {object} JobLoad
 * @property {number} port
 * @property {number} clients
 * @property {number} jobs in total
 * @property {number} tokens of each job
 * @property {string} headers further lines of each request, each with its end
 * @property {boolean} idempotent whether each job has its own key
 */

/** One connection, and the answer that it waits for. */
class Connection {
  #socket;
  #received = '';
  /** @type {(answer: string) => void} */
  #resolve = () => {};
  /** @type {(error: Error) => void} */
  #reject = () => {};
  /** @type {(received: string) => number} */
  #endOf = () => -1;

  /** @param {number} port */
  constructor(port) {
    this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('latin1');
    this.#socket.on('data', (/** @type {any} */ part) => this.#onData(part));
    this.#socket.on('error', (error) => this.#reject(error));
    this.#socket.on('close', () => this.#reject(new Error('the server closed the connection')));
  }

  /** @param {string} part */
  #onData(part) {
    this.#received += part;
    const end = this.#endOf(this.#received);
    if (end < 0) return;
    const answer = this.#received.slice(0, end);
    this.#received = this.#received.slice(end);
    this.#resolve(answer);
  }

  /**
   * @param {string} request
   * @param {(received: string) => number} endOf where the answer ends; -1: not yet
   * @returns {Promise<string>} the whole answer
   */
  ask(request, endOf) {
    return new Promise((resolve, reject) => {
      [this.#resolve, this.#reject, this.#endOf] = [resolve, reject, endOf];
      this.#socket.write(request);
    });
  }

  close() {
    this.#reject = () => {};
    this.#socket.destroy();
  }
}

/** @param {string} received @returns {number} */
function endOfLength(received) {
  const head = received.indexOf(HEAD_END);
  if (head < 0) return -1;
  const length = Number(/^content-length: (\d+)/im.exec(received.slice(0, head))?.[1]);
  const end = head + HEAD_END.length + length;
  return received.length >= end ? end : -1;
}

/** @param {string} received @returns {number} */
const endOfChunks = (received) => (received.endsWith(BODY_END) ? received.length : -1);

/**
 * @param {Connection} connection
 * @param {number} n of the job
 * @param {JobLoad} load
 */
async function runJob(connection, n, { tokens, headers, idempotent }) {
  const body = `{"prompt":"${tokens}"}`;
  const key = idempotent ? `Idempotency-Key: bench-${process.pid}-${n}\r\n` : '';
  const common = `Host: 127.0.0.1\r\n${headers}`;
  const created = await connection.ask(
    `POST /v1/jobs HTTP/1.1\r\n${common}${key}Content-Type: application/json\r\n` +
      `Content-Length: ${body.length}${HEAD_END}${body}`,
    endOfLength,
  );
  const path = /"stream_url":"([^"]+)"/.exec(created)?.[1];
  if (!created.startsWith('HTTP/1.1 201') || path === undefined) {
    throw new Error(`a job was answered ${created.slice(0, 200)}`);
  }
  const request = `GET ${path} HTTP/1.1\r\n${common}Accept: text/event-stream${HEAD_END}`;
  const stream = await connection.ask(request, endOfChunks);
  const got = stream.split('event: token\n').length - 1;
  if (got !== tokens || !stream.includes('event: job_complete\n')) {
    throw new Error(`a stream of ${tokens} tokens was ${stream.slice(0, 400)}`);
  }
}

/**
 * @param {JobLoad} load
 * @param {() => void} [onWarm] called after the first quarter, which pays for compilation
 * @returns {Promise<void>}
 */
export async function runJobs(load, onWarm) {
  const warm = Math.ceil(load.jobs / 4);
  let next = 0;
  const client = async (/** @type {Connection} */ connection, /** @type {number} */ until) => {
    while (next < until) await runJob(connection, next++, load);
  };
  const connections = Array.from({ length: load.clients }, () => new Connection(load.port));
  try {
    for (const until of onWarm === undefined ? [load.jobs] : [warm, warm + load.jobs]) {
      await Promise.all(connections.map((connection) => client(connection, until)));
      if (until === warm) onWarm?.();
    }
  } finally {
    for (const connection of connections) connection.close();
  }
}
