/** A gateway's options of its JobHub, which has no defaults. */
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
