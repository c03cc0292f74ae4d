/**
 * The llama provider: a GGUF model inside this process, through node-llama-cpp (an optional peer
 * dependency, imported on first use).
 *
 * A batch runs as parallel sequences of one context, which llama.cpp decodes together. Requests
 * beyond the number of sequences wait in FIFO order.
 */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { SluiceError, rangeError } from '../../internal/util/errors.js';
import { LLAMA_OPTIONS } from '../option-table.js';
import { checkChoice, checkString } from '../../internal/util/validate.js';
import { checkTable } from '../../internal/util/option-table.js';
import { mergeRuns } from './merge-runs.js';

const GPU_TYPES = /** @type {const} */ (['auto', 'cuda', 'vulkan', 'metal']);

/**
 * @param {import('../option-table.js').LlamaOptions} options
 * @returns {import('../shared/types.js').Provider & {ready: () => Promise<void>}} ready() loads the
 *   model; otherwise the first request does
 */
export function llama(options) {
  const given = checkTable('providers.llama', LLAMA_OPTIONS, options);
  const { sequences, contextSize, threads } = given;
  const modelPath = resolve(checkString('modelPath', given.modelPath));
  if (!existsSync(modelPath)) {
    throw rangeError(`modelPath takes the path of a GGUF file; ${modelPath} does not exist`);
  }
  const gpu = given.gpu === false ? false : checkChoice('gpu', given.gpu, GPU_TYPES);
  const model = checkString('model', given.model ?? basename(modelPath, '.gguf'));

  const closing = new AbortController();
  /** @type {Promise<import('./engine.js').LlamaEngine> | undefined} */
  let engine;
  const load = async () => {
    if (closing.signal.aborted) {
      throw new SluiceError('ERR_PROVIDER_CLOSED', 'The provider is closed.');
    }
    engine ??= import('./engine.js')
      .then(({ LlamaEngine }) =>
        LlamaEngine.load({ modelPath, sequences, contextSize, gpu, threads }),
      )
      .catch((error) => {
        // A retry may succeed: a package was installed meanwhile, or memory freed.
        engine = undefined;
        throw error;
      });
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
    features: ['tools'],
    async ready() {
      await load();
    },
    generateBatch(requests, { signal }) {
      return mergeRuns(requests, [signal, closing.signal], generate);
    },
    close() {
      closing.abort();
      closed ??= (async () => {
        // A model that failed to load has nothing to free.
        const loaded = await engine?.catch(() => undefined);
        await loaded?.dispose();
      })();
      return closed;
    },
  };
}
