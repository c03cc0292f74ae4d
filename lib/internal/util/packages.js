/**
 * Packages and modules loaded on first use, so that `import 'sluice'` and the command line's help need not load
 * them. Main thread and worker threads.
 */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/**
 * A value created by the first call and returned by all later ones.
 * @template T
 * @param {() => T} make a failure is thrown to that call, and the next call retries
 * @returns {() => T}
 */
export function lazy(make) {
  /** @type {{value: T} | undefined} */
  let made;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** Modules of this package that are loaded, by their URLs. @type {Map<string, unknown>} */
const provided = new Map();

/**
 * A module of this package that the first call loads, before it returns. Loaders without a synchronous way to
 * ES modules have it from `lib/preload.js`.
 *
 * Two ways to the same module must not overlap: what this loads may have no part that an `import()` is loading.
 * @template Module
 * @param {string} base `import.meta.url`
 * @param {(require: (path: string) => any) => Module} load `(require) => require('./module.js')`, which
 *   dependency-cruiser sees
 * @returns {() => Module} a failure is thrown to its call, and the next call tries again
 */
export function lateModule(base, load) {
  return lazy(() =>
    load((path) => provided.get(new URL(path, base).href) ?? createRequire(base)(path)),
  );
}

/**
 * Gives modules to `lateModule`.
 * @param {string} base `import.meta.url`
 * @param {Record<string, unknown>} modules by their paths, relative to `base`
 */
export function provideModules(base, modules) {
  for (const [path, module] of Object.entries(modules)) {
    provided.set(new URL(path, base).href, module);
  }
}

/** @returns {boolean} whether this loader loads ES modules synchronously, as Node does */
export function canRequireModules() {
  try {
    require('./symbols.js');
    return true;
  } catch {
    return false;
  }
}

/** The last load of `later`, for which the next one waits. @type {Promise<unknown>} */
let lastLoad = Promise.resolve();

/**
 * Loads a module of this package at the first call. Modules are loaded one after the other, because the loaders of
 * test runners fail for imports that overlap.
 * @template Module
 * @param {() => Promise<Module>} load `() => import('./module.js')`; must not call the function returned by `later`
 * @returns {() => Promise<Module>} a failure rejects only its call, and the next call retries
 */
export function later(load) {
  /** @type {Promise<Module> | undefined} */
  let loading;
  return () => {
    if (loading !== undefined) return loading;
    loading = lastLoad.then(load);
    lastLoad = loading.catch(() => {
      loading = undefined;
    });
    return loading;
  };
}

/** @type {() => typeof import('ajv')} */
export const ajv = lazy(() => require('ajv'));

/** @type {() => typeof import('find-my-way')} */
export const findMyWay = lazy(() => require('find-my-way'));

/** @type {() => (bytes: Uint8Array, options: object) => string} */
export const htmlEncodingSniffer = lazy(() => require('html-encoding-sniffer'));

/** @type {() => typeof import('ioredis')} */
export const ioredis = lazy(() => require('ioredis'));

/** @type {() => typeof import('ipaddr.js')} */
export const ipaddr = lazy(() => require('ipaddr.js'));

/** @type {() => typeof import('pino').default} */
export const pino = lazy(() => require('pino'));

/**
 * The metrics of prom-client. Its entry point also loads `defaultMetrics`, and by that OpenTelemetry's API: eight
 * times as long.
 * @type {() => Pick<typeof import('prom-client'), 'Counter' | 'Gauge' | 'Histogram' | 'Registry'>}
 */
export const promClient = lazy(() => ({
  Counter: require('prom-client/lib/counter'),
  Gauge: require('prom-client/lib/gauge'),
  Histogram: require('prom-client/lib/histogram'),
  Registry: require('prom-client/lib/registry'),
}));

/** @type {() => typeof import('prom-client').collectDefaultMetrics} */
export const defaultMetrics = lazy(() => require('prom-client/lib/defaultMetrics'));

/** @type {() => typeof import('sirv').default} */
export const sirv = lazy(() => require('sirv'));

/** @type {() => typeof import('undici')} */
export const undici = lazy(() => require('undici'));

/** @type {() => typeof import('node:tls')} */
export const tls = lazy(() => require('node:tls'));

/** @type {() => typeof import('node:v8')} */
export const v8 = lazy(() => require('node:v8'));

/** @type {() => typeof import('node:worker_threads')} */
export const workerThreads = lazy(() => require('node:worker_threads'));

/** @type {() => typeof import('node:zlib')} */
export const zlib = lazy(() => require('node:zlib'));
