/** The conformance suite of the Durable Streams protocol, for vitest; a jest test starts it. */
import { runConformanceTests } from '@durable-streams/server-conformance-tests';

runConformanceTests({ baseUrl: String(process.env.CONFORMANCE_TEST_URL) });
