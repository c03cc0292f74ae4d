/**
 * A part of the HTTP tests over a gateway that is mounted in Express. `npm run test:soak` runs all of
 * them so.
 */
import { mountBy } from '../../support/gateway/gateway.js';

mountBy('express');
// The query makes each a separate module: a worker loads a module once.
await import('./middleware/cors.test.js?express');
await import('./sse/disconnect.test.js?express');
await import('./sse/resume.test.js?express');
