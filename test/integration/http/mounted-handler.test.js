/**
 * A part of the HTTP tests over a gateway that is mounted in plain node:http. `npm run test:soak` runs all of
 * them so.
 */
import { mountBy } from '../../support/gateway/gateway.js';

mountBy('handler');
await import('./middleware/cors.test.js');
await import('./streams/disconnect.test.js');
await import('./streams/resume.test.js');
