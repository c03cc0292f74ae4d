/**
 * Many abort signals as one, with an end. AbortSignal.any() has none: each result stays registered
 * with a signal that lives as long as its provider, request after request.
 */

import { whenAborted } from './abort.js';

/**
 * @param {AbortSignal[]} sources
 * @returns {{signal: AbortSignal, abort: (reason?: unknown) => void, unlink: () => void}} `signal`
 *   is aborted with the first source's reason, or by abort(); unlink() lets the sources go
 */
export function linkSignals(sources) {
  const controller = new AbortController();
  /** @param {unknown} [reason] */
  const abort = (reason) => {
    unlink();
    controller.abort(reason);
  };
  const onAbort = () => abort(sources.find((source) => source.aborted)?.reason);
  // A provider's own signal is a source of each of its requests: any number of them at once.
  const releases = sources.map((source) => whenAborted(source, onAbort));
  const unlink = () => {
    for (const release of releases) release();
  };
  if (sources.some((source) => source.aborted)) onAbort();
  return { signal: controller.signal, abort, unlink };
}
