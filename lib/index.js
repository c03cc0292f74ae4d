/**
 * What `import 'sluice'` gets from a loader that cannot load ES modules synchronously, such as Jest's before Node 24.9:
 * `api.js` after all its modules. Node gets `api.js` itself, by the condition `module-sync` of package.json; its
 * `require()` takes no module that waits.
 */
import { canRequireModules } from './internal/util/packages.js';

if (!canRequireModules()) await import('./preload.js');

export * from './api.js';
