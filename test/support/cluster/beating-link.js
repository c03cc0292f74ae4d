/** Beats and messages over an ordinary client of Redis, for a Cluster without native parts. */
import { EventEmitter } from 'node:events';
import { Redis } from 'ioredis';
import { scripts } from '../../../lib/cluster/client/scripts.js';

/** As `RedisLink`: beats every `intervalMs`, until `stop()`. */
export class BeatingLink extends EventEmitter {
  #name;
  #prefix;
  #client;
  #subscriber;
  #timer;

  /** @param {{port: number, prefix: string, name: string, intervalMs: number}} options */
  constructor({ port, prefix, name, intervalMs }) {
    super();
    this.#name = name;
    this.#prefix = prefix;
    this.#client = new Redis(port, '127.0.0.1', { enableOfflineQueue: false });
    this.#subscriber = new Redis(port, '127.0.0.1');
    for (const client of [this.#client, this.#subscriber]) client.on('error', () => {});
    this.#subscriber.on('message', (channel, text) => this.emit('message', channel, text));
    this.#timer = setInterval(() => this.beat(), intervalMs);
  }

  rename(name) {
    this.#name = name;
  }

  relocate() {}

  subscribe(channel) {
    this.#subscriber.subscribe(channel).catch(() => {});
  }

  unsubscribe(channel) {
    this.#subscriber.unsubscribe(channel).catch(() => {});
  }

  async beat() {
    const sentMs = performance.now();
    const { source } = scripts().beat;
    const args = [`${this.#prefix}procs`, this.#prefix, this.#name, 1];
    const answer = await this.#client.eval(source, 1, ...args).catch(() => undefined);
    if (answer === undefined) return;
    const [seconds, microseconds, member, processes, dead, offered, messages] = answer;
    const answeredMs = performance.now();
    const times = { seconds, microseconds, sentMs, answeredMs };
    this.emit('beat', { ...times, member: member === 1, processes, dead, offered, messages });
  }

  /** Sends no further beat, as a dead process does. */
  stop() {
    clearInterval(this.#timer);
  }

  close() {
    this.stop();
    this.#client.disconnect();
    this.#subscriber.disconnect();
  }
}
