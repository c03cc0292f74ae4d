/**
 * Many abort signals as one, with an end. AbortSignal.any() has none: each result stays registered
 * with a signal that lives as long as its provider, request after request.
 */

/**
 * @param {AbortSignal[]} sources
 * @returns {{signal: AbortSignal, abort: (reason?: unknown) => void, unlink: () => void}} `signal`
 *   is aborted with the first source's reason, or by abort(); unlink() lets the sources go
 */
export function linkSignals(sources) {
  const controller = new AbortController();
  const unlink = () => {
    for (const source of sources) source.removeEventListener('abort', onAbort);
  };
  /** @param {unknown} [reason] */
  const abort = (reason) => {
    unlink();
    controller.abort(reason);
  };
  const onAbort = () => abort(sources.find((source) => source.aborted)?.reason);
  for (const source of sources) source.addEventListener('abort', onAbort);
  if (sources.some((source) => source.aborted)) onAbort();
  return { signal: controller.signal, abort, unlink };
}
