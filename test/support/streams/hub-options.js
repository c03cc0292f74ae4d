/** Options of a JobHub, which has no defaults: those of a gateway. */
import { GATEWAY_OPTIONS } from '../../../lib/gateway/option-table.js';
import { checkTable } from '../../../lib/internal/util/option-table.js';

const { streamCapacity, logBytesMax, retentionMs, heartbeatMs, stallMs, reconnectMs } = checkTable(
  'createGateway',
  GATEWAY_OPTIONS,
  {},
);

export const hubOptions = Object.freeze({
  ...{ streamCapacity, logBytesMax, retentionMs, heartbeatMs, stallMs },
  retryMs: reconnectMs,
});
