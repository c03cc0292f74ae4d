/**
 * The providers included in Sluice. A plain `async function*` is also a provider: see function.js. Each is loaded when it
 * is first made.
 */
import { demo } from './demo.js';
import { lateModule } from '../internal/util/packages.js';

/** @type {() => typeof import('./anthropic/provider.js')} */
const anthropicModule = lateModule(import.meta.url, (require) =>
  require('./anthropic/provider.js'),
);
/** @type {() => typeof import('./llama/provider.js')} */
const llamaModule = lateModule(import.meta.url, (require) => require('./llama/provider.js'));
/** @type {() => typeof import('./openai/provider.js')} */
const openaiModule = lateModule(import.meta.url, (require) => require('./openai/provider.js'));
/** @type {() => typeof import('./route/provider.js')} */
const routeModule = lateModule(import.meta.url, (require) => require('./route/provider.js'));

/** @type {typeof import('./anthropic/provider.js').anthropic} */
const anthropic = (options) => anthropicModule().anthropic(options);
/** @type {typeof import('./llama/provider.js').llama} */
const llama = (options) => llamaModule().llama(options);
/** @type {typeof import('./openai/provider.js').openai} */
const openai = (options) => openaiModule().openai(options);
/** @type {typeof import('./route/provider.js').route} */
const route = (options) => routeModule().route(options);

export const providers = Object.freeze({ anthropic, demo, openai, llama, route });
