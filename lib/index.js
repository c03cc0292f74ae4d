/** What the package exports. */
export { Gateway, createGateway } from './gateway.js';
export { HttpError } from './http-errors.js';
export { ManualClock } from './clock.js';
export { Pipeline } from './pipeline.js';
export { ProviderError } from './providers/errors.js';
export { SluiceError } from './errors.js';
export { StreamBuffer } from './stream-buffer.js';
export { providers } from './providers/index.js';
