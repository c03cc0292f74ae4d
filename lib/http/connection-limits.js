/**
 * Limits of a server's connections: in total, by the process's limit of open files, and per client
 * address. Main thread only.
 */
import { readFileSync } from 'node:fs';

/** Minimum of descriptors reserved for files, upstreams, crawls and the process itself. */
const RESERVE_MIN = 128;
/** Minimum share of all descriptors that is reserved. */
const RESERVE_SHARE = 1 / 8;
/** Assumed limit if the system does not report one. */
const UNKNOWN_LIMIT = 1024;

/** @returns {number} descriptors that this process may have open */
export function descriptorLimit() {
  try {
    const [, soft] =
      /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === 'unlimited' ? Infinity : Number(soft ?? UNKNOWN_LIMIT);
  } catch {
    const { userLimits } = /** @type {any} */ (process.report.getReport());
    const soft = userLimits?.open_files?.soft ?? UNKNOWN_LIMIT;
    return soft === 'unlimited' ? Infinity : Number(soft);
  }
}

/**
 * @param {number} descriptors that the process may have open
 * @param {number} perConnection descriptors that a connection may take
 * @returns {number} connections; Infinity: no limit
 */
export function defaultMaxConnections(descriptors, perConnection) {
  const reserve = Math.max(RESERVE_MIN, Math.ceil(descriptors * RESERVE_SHARE));
  return Math.max(1, Math.floor((descriptors - reserve) / perConnection)) || Infinity;
}

/** Counts the connections of a server per client address, and closes those beyond a limit. */
export class AddressLimit {
  #max;
  #onRefused;
  /** @type {Map<string, number>} connections by address */
  #counts = new Map();
  /** @type {WeakMap<object, string>} addresses of counted sockets */
  #addresses = new WeakMap();

  /**
   * @param {import('node:http').Server} server
   * @param {number} max connections per address
   * @param {() => void} onRefused
   */
  constructor(server, max, onRefused) {
    this.#max = max;
    this.#onRefused = onRefused;
    server.prependListener('connection', (socket) => this.#onConnection(socket));
  }

  /** @param {import('node:net').Socket} socket */
  #onConnection(socket) {
    const { remoteAddress: address } = socket;
    // A connection returned from a stream is already counted.
    if (address === undefined || this.#addresses.has(socket)) return;
    const count = this.#counts.get(address) ?? 0;
    if (count >= this.#max) {
      this.#onRefused();
      socket.destroy();
      return;
    }
    this.#counts.set(address, count + 1);
    this.attach(socket, address);
  }

  /**
   * Assigns a counted connection to this socket.
   * @param {import('node:net').Socket} socket
   * @param {string | undefined} address under which it is counted
   */
  attach(socket, address) {
    if (address === undefined) return;
    this.#addresses.set(socket, address);
    socket.once('close', () => this.release(this.detach(socket)));
  }

  /**
   * Detaches the connection from this socket; it is still counted.
   * @param {import('node:net').Socket} socket
   * @returns {string | undefined} the counted address, to be released or attached again
   */
  detach(socket) {
    const address = this.#addresses.get(socket);
    this.#addresses.delete(socket);
    return address;
  }

  /** @param {string | undefined} address address of an ended connection */
  release(address) {
    if (address === undefined) return;
    const count = (this.#counts.get(address) ?? 0) - 1;
    if (count > 0) this.#counts.set(address, count);
    else this.#counts.delete(address);
  }
}
