/**
 * A part of the HTTP tests over a gateway that is mounted in plain node:http. `npm run test:soak` runs all of
 * them so.
 */
import { mountBy } from '../../support/gateway/gateway.js';

mountBy('handler');
// The query makes each a separate module: a worker loads a module once.
await import('./middleware/cors.test.js?handler');
await import('./sse/disconnect.test.js?handler');
await import('./sse/resume.test.js?handler');
