/**
 * The llama provider: a GGUF model inside this process, through node-llama-cpp (an optional peer
 * dependency, imported when it is first needed).
 *
 * A batch runs as parallel sequences of one context, which llama.cpp decodes together. When more
 * requests are there than sequences, they wait for one in the order they came.
 */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { SluiceError, rangeError } from '../../internal/util/errors.js';
import {
  checkChoice,
  checkInteger,
  checkOptions,
  checkString,
} from '../../internal/util/validate.js';
import { LlamaEngine } from './engine.js';
import { mergeRuns } from './merge-runs.js';

const gpuTypes = /** @type {const} */ (['auto', 'cuda', 'vulkan', 'metal']);

/**
 * @param {object} options
 * @param {string} options.modelPath a GGUF file
 * @param {number} [options.sequences] texts generated at the same time (default 8)
 * @param {number} [options.contextSize] tokens per sequence, prompt and answer together; by default
 *   what the model was trained on and memory allows, 4096 at most
 * @param {false | 'auto' | 'cuda' | 'vulkan' | 'metal'} [options.gpu] default false: the CPU
 * @param {number} [options.threads] default: one fewer than there are cores good for arithmetic
 * @param {string} [options.model] the name in /v1/models; by default the file's, without .gguf
 * @returns {import('../shared/types.js').Provider & {ready: () => Promise<void>}} ready() loads the model,
 *   as the first request does otherwise
 */
export function llama(options) {
  const given = checkOptions('options', options);
  const modelPath = resolve(checkString('modelPath', given.modelPath));
  if (!existsSync(modelPath)) {
    throw rangeError(`modelPath takes the path of a GGUF file; ${modelPath} does not exist`);
  }
  const sequences = checkInteger('sequences', given.sequences, { max: 256, fallback: 8 });
  const { contextSize, threads } = given;
  if (contextSize !== undefined) checkInteger('contextSize', contextSize, { min: 16 });
  if (threads !== undefined) checkInteger('threads', threads, { max: 1024 });
  const gpu =
    given.gpu === undefined || given.gpu === false
      ? false
      : checkChoice('gpu', given.gpu, gpuTypes);
  const model = checkString('model', given.model ?? basename(modelPath, '.gguf'));

  const closing = new AbortController();
  /** @type {Promise<LlamaEngine> | undefined} */
  let engine;
  const load = async () => {
    if (closing.signal.aborted) {
      throw new SluiceError('ERR_PROVIDER_CLOSED', 'The provider is closed.');
    }
    engine ??= LlamaEngine.load({ modelPath, sequences, contextSize, gpu, threads }).catch(
      (error) => {
        // What failed may work when it is tried again: a package installed since, memory freed.
        engine = undefined;
        throw error;
      },
    );
    return engine;
  };

  /** @param {import('../shared/types.js').ProviderRequest} request @param {AbortSignal} signal */
  async function* generate(request, signal) {
    const loaded = await load();
    if (signal.aborted) return undefined;
    return yield* loaded.generate(request, signal);
  }

  /** @type {Promise<void> | undefined} */
  let closed;
  return {
    name: 'llama',
    models: [{ id: model }],
    takesBatches: true,
    enforcesMaxTokens: true,
    async ready() {
      await load();
    },
    generateBatch(requests, { signal }) {
      return mergeRuns(requests, [signal, closing.signal], generate);
    },
    close() {
      closing.abort();
      closed ??= (async () => {
        // A model that did not load has nothing to free.
        const loaded = await engine?.catch(() => undefined);
        await loaded?.dispose();
      })();
      return closed;
    },
  };
}
