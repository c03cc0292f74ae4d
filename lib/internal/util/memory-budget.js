import { HttpError } from './http-error.js';
import { totalmem } from 'node:os';

const MIB = 2 ** 20;
const LIMIT_MAX = 2048 * MIB;
/** Above this share of the limit, finished work is dropped until the second share is reached. */
const RELIEVE_AT = 0.8;
const RELIEVE_TO = 0.75;
/** Above this share new work is refused. */
const REFUSE_AT = 0.95;
/** Interval of checks, in addition to one per request. */
const WATCH_MS = 1000;

/**
 * Kinds of memory use. `kept`: it stays until its owner deletes it.
 * @type {Record<string, {content: string, code: string, kept?: boolean}>}
 */
const RESOURCES = {
  jobs: { content: 'jobs', code: 'memory_full' },
  workflows: { content: 'workflows', code: 'memory_full' },
  crawls: { content: 'crawls', code: 'memory_full' },
  bodies: { content: 'request bodies', code: 'memory_full' },
  kv: { content: 'keys and values', code: 'kv_full', kept: true },
  durable: { content: 'durable streams', code: 'durable_full', kept: true },
  conversations: { content: 'conversations', code: 'conversations_full', kept: true },
  idempotency_keys: { content: 'idempotency keys', code: 'idempotency_keys_full', kept: true },
};

/** @typedef {'prompts' | 'bodies' | 'answers' | 'workflows'} CountedKind */
/** @typedef {'logs' | 'kv' | 'watches' | 'webhooks' | 'idempotency_keys' | 'audit'} GaugedKind */

/**
 * Holds finished objects that may be dropped.
 * @typedef {object} Holder
 * @property {(principal: string) => number | undefined} oldest end of the oldest object of this principal;
 *   undefined: there is none
 * @property {(principal: string) => void} evict drops the oldest object
 */

/** @returns {number} a quarter of the memory of the machine, or of its control group, at most 2 GiB */
export function defaultMemoryBudget() {
  const constrained = process.constrainedMemory?.() ?? 0;
  const machine = totalmem();
  const memory = constrained > 0 && constrained < machine ? constrained : machine;
  return Math.min(Math.floor(memory / 4), LIMIT_MAX);
}

/**
 * @param {string} resource
 * @param {string} reason
 * @returns {HttpError}
 */
function memoryFull(resource, reason) {
  const { content, code, kept = false } = RESOURCES[resource];
  if (kept) {
    const message = `There is no memory for more ${content}: ${reason}. Delete some.`;
    return new HttpError(507, { code, type: 'server_error', message });
  }
  const message = `There is no memory for more ${content}: ${reason}. Try again later.`;
  return new HttpError(503, { code, message, headers: { 'Retry-After': '1' } });
}

/**
 * The bytes of content that a gateway holds, by kind and principal, against one limit. Owners report
 * their sizes; the budget itself allocates nothing. Main thread only; `close()` ends it.
 *
 * Above 80 % of the limit finished work is dropped, oldest first, from the principal that holds most,
 * and a principal that holds more than half of the limit gets no more while others hold data.
 * Above 95 % all new work is refused. Running work continues.
 */
export class MemoryBudget {
  #limitBytes;
  #settled;
  /** @type {Map<GaugedKind, () => number>} */
  #gauges = new Map();
  /** @type {Record<CountedKind, number>} */
  #counted = { prompts: 0, bodies: 0, answers: 0, workflows: 0 };
  /** @type {Map<string, number>} of all counted kinds, by principal */
  #byPrincipal = new Map();
  /** @type {Map<string, number>} droppable bytes by principal; part of the gauges and counts */
  #retained = new Map();
  /** @type {Holder[]} */
  #holders = [];
  /** @type {(() => Promise<Map<string, number>>) | undefined} */
  #readRunning;
  /** Of unfinished work, by principal, as last read; part of the gauges. @type {Map<string, number>} */
  #running = new Map();
  /** Dropped bytes that may still be in the gauges. */
  #freeing = 0;
  #scheduled = false;
  #timer;
  /** Number of objects dropped for lack of memory. */
  evictions = 0;
  /** @type {Record<string, number>} refusals by resource */
  refusals = Object.fromEntries(Object.keys(RESOURCES).map((name) => [name, 0]));

  /**
   * @param {object} options
   * @param {number} options.limitBytes
   * @param {() => Promise<unknown>} options.settled resolves when dropped bytes have left the gauges
   */
  constructor({ limitBytes, settled }) {
    this.#limitBytes = limitBytes;
    this.#settled = settled;
    this.#timer = setInterval(() => {
      this.relieve();
      void this.sample();
    }, WATCH_MS).unref();
  }

  get limitBytes() {
    return this.#limitBytes;
  }

  /** @returns {Record<CountedKind | GaugedKind, number>} bytes held now */
  byKind() {
    const gauged = [...this.#gauges].map(([kind, read]) => [kind, read()]);
    return { ...this.#counted, ...Object.fromEntries(gauged) };
  }

  /** @returns {number} bytes held now, without bytes about to be freed */
  used() {
    const { prompts, bodies, answers, workflows } = this.#counted;
    let used = prompts + bodies + answers + workflows - this.#freeing;
    for (const read of this.#gauges.values()) used += read();
    return Math.max(0, used);
  }

  /**
   * @param {GaugedKind} kind
   * @param {() => number} read returns the bytes that its owner holds now
   */
  gauge(kind, read) {
    this.#gauges.set(kind, read);
  }

  /** @param {Holder} holder whose objects are reported by `retain` */
  addHolder(holder) {
    this.#holders.push(holder);
  }

  /**
   * @param {() => Promise<Map<string, number>>} read resolves with the bytes of unfinished work by
   *   principal, which the gauges have only in total
   */
  setRunning(read) {
    this.#readRunning = read;
  }

  /** Reads the bytes of unfinished work, if the first mark is passed. Called by a timer, too. */
  async sample() {
    if (this.used() < RELIEVE_AT * this.#limitBytes || this.#readRunning === undefined) {
      this.#running = new Map();
      return;
    }
    try {
      this.#running = await this.#readRunning();
    } catch {
      // A hub that closes meanwhile holds nothing.
      this.#running = new Map();
    }
  }

  /**
   * @param {CountedKind} kind
   * @param {string} principal
   * @param {number} bytes change of the bytes, negative for less
   */
  count(kind, principal, bytes) {
    this.#counted[kind] += bytes;
    add(this.#byPrincipal, principal, bytes);
  }

  /**
   * @param {string} principal
   * @param {number} bytes change of the droppable bytes, negative for less
   */
  retain(principal, bytes) {
    add(this.#retained, principal, bytes);
    if (bytes <= 0 || this.#scheduled) return;
    // Not now: events of work that has just ended are not dispatched yet.
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.relieve();
    });
  }

  /**
   * Call it before new work is accepted.
   * @param {keyof typeof RESOURCES} resource kind of the new work
   * @param {string} principal
   * @param {number} [bytes] expected bytes, as far as known
   * @throws {HttpError} 503 with `Retry-After`; 507 for data kept until it is deleted
   */
  check(resource, principal, bytes = 0) {
    if (this.used() + bytes < RELIEVE_AT * this.#limitBytes) return;
    this.relieve(bytes);
    const used = this.used() + bytes;
    if (used < RELIEVE_AT * this.#limitBytes) return;
    const full = used >= REFUSE_AT * this.#limitBytes;
    if (!full && !this.#holdsTooMuch(principal)) return;
    this.refusals[resource] += 1;
    const limit = `${Math.round(this.#limitBytes / MIB)} MiB (memoryBudgetBytes)`;
    throw memoryFull(
      resource,
      full ? `the budget of ${limit} is used up` : `this caller holds half of ${limit}`,
    );
  }

  /** @param {string} principal */
  #holdsTooMuch(principal) {
    const shares = [this.#byPrincipal, this.#retained, this.#running];
    const own = shares.reduce((sum, share) => sum + (share.get(principal) ?? 0), 0);
    if (own <= this.#limitBytes / 2) return false;
    return shares.some((share) => [...share.keys()].some((other) => other !== principal));
  }

  /**
   * Drops finished work when the first mark is passed.
   * @param {number} [bytes] bytes about to be added
   */
  relieve(bytes = 0) {
    const used = this.used() + bytes;
    if (used < RELIEVE_AT * this.#limitBytes) return;
    let excess = used - RELIEVE_TO * this.#limitBytes;
    let freed = 0;
    while (excess > 0 && this.#retained.size > 0) {
      let most = 0;
      for (const held of this.#retained.values()) most = Math.max(most, held);
      // All principals that hold about as much as the largest one, so that one pass drops enough.
      const floor = most * 0.9;
      for (const [principal, held] of [...this.#retained]) {
        if (held < floor) continue;
        while (excess > 0 && (this.#retained.get(principal) ?? 0) >= floor) {
          const bytesFreed = this.#evictOldest(principal);
          excess -= bytesFreed;
          freed += bytesFreed;
        }
      }
    }
    if (freed > 0) void this.#settle(freed);
  }

  /**
   * @param {string} principal
   * @returns {number} freed bytes
   */
  #evictOldest(principal) {
    const before = this.#retained.get(principal) ?? 0;
    /** @type {{holder: Holder, endedAt: number} | undefined} */
    let first;
    for (const holder of this.#holders) {
      const endedAt = holder.oldest(principal);
      if (endedAt === undefined || endedAt >= (first?.endedAt ?? Infinity)) continue;
      first = { holder, endedAt };
    }
    if (first === undefined) {
      // No holder has such an object: the count was wrong, and must not be used again.
      this.#retained.delete(principal);
      return 0;
    }
    first.holder.evict(principal);
    this.evictions += 1;
    const freed = before - (this.#retained.get(principal) ?? 0);
    if (freed <= 0) this.#retained.delete(principal);
    return freed;
  }

  /** @param {number} bytes dropped on the main thread, which will leave the gauges */
  async #settle(bytes) {
    this.#freeing += bytes;
    // A hub that closes meanwhile has freed everything.
    await this.#settled().catch(() => {});
    this.#freeing -= bytes;
  }

  close() {
    clearInterval(this.#timer);
  }
}

/**
 * @param {Map<string, number>} map without zeros
 * @param {string} key
 * @param {number} bytes
 */
function add(map, key, bytes) {
  const sum = (map.get(key) ?? 0) + bytes;
  if (sum > 0) map.set(key, sum);
  else map.delete(key);
}
