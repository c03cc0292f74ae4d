/**
 * Streams of a face, as bytes of the native core and as an HTTP answer for a client.
 */
import { JobHub } from '../../../lib/streams/hub.js';
import { sharedReactor } from '../../../lib/internal/native/reactor.js';
import { hubOptions } from './hub-options.js';

/** @typedef {import('../../../lib/streams/types.js').FaceOptions} FaceOptions */
/** @typedef {import('../../../lib/streams/types.js').EntryInput} EntryInput */
/** @typedef {import('../../../lib/streams/types.js').TerminalInput} TerminalInput */

const USAGE = {
  prompt_tokens: 30,
  completion_tokens: 20,
  total_tokens: 50,
  prompt_tokens_details: { cached_tokens: 10 },
};

/** @param {string} reason @returns {TerminalInput} */
export const complete = (reason) => ({ type: 'complete', reason, usage: USAGE });

/**
 * Writes an answer while a reader follows it.
 * @param {Partial<FaceOptions> & Pick<FaceOptions, 'dialect'>} face
 * @param {EntryInput[]} entries
 * @param {TerminalInput} terminal
 * @returns {Promise<string>} all frames
 */
export async function faceFrames(face, entries, terminal) {
  const hub = new JobHub({ ...hubOptions, reactors: [sharedReactor()] });
  try {
    const handle = hub.create({
      jobId: 'job_T',
      onDisconnect: 'continue',
      disconnectGraceMs: 0,
      maxWallMs: 60_000,
    });
    hub.start(handle);
    const options = { id: 'id-T', tail: 'T', model: 'small', created: 1_700_000_000, ...face };
    /** @type {Buffer[]} */
    const batches = [];
    const ended = new Promise((resolve) => {
      const subscriber = hub.openStream(
        [{ handle, cursor: '' }],
        {
          onOpen: () => subscriber.acknowledge(),
          onFrames(frames) {
            batches.push(Buffer.from(frames));
            subscriber.acknowledge();
          },
          onEnd: resolve,
        },
        { face: options },
      );
    });
    for (const [i, entry] of entries.entries()) {
      hub.appendEntry(handle, entry);
      // Some entries share a batch.
      if (i % 3 === 0) await hub.barrier();
    }
    hub.finish(handle, terminal);
    const reason = await ended;
    if (reason !== 'finished') throw new Error(`the stream ended as ${reason}`);
    return Buffer.concat(batches).toString();
  } finally {
    hub.close();
  }
}

/**
 * A `fetch` that answers with these frames, in pieces of a few bytes.
 * @param {string} frames
 * @returns {typeof fetch}
 */
export function fetchOf(frames) {
  const bytes = Buffer.from(frames);
  const pieces = function* () {
    for (let from = 0; from < bytes.length; from += 7) yield bytes.subarray(from, from + 7);
  };
  return async () =>
    new Response(ReadableStream.from(pieces()), {
      headers: { 'content-type': 'text/event-stream' },
    });
}
