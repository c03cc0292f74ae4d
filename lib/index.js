/**
 * What `import 'sluice'` gets: `api.js`, whose modules are loaded as they are needed. A loader that cannot load them
 * synchronously, such as Jest's before Node 24.9, gets all of them before the import ends. `require('sluice')` gets
 * `api.js` itself, because `require()` takes no module that waits.
 */
import { canRequireModules } from './internal/util/packages.js';

if (!canRequireModules()) await import('./preload.js');

export * from './api.js';
