/** Gateways with access to their parts, for state without a public interface, such as open reservations. */
import '../../../lib/preload.js';
import { Gateway } from '../../../lib/gateway/gateway.js';
import { checkGatewayOptions } from '../../../lib/gateway/options.js';
import { createParts } from '../../../lib/gateway/assembly.js';

const partsByGateway = new WeakMap();

/** As the package's `createGateway`. */
export function createGateway(options) {
  const parts = createParts(checkGatewayOptions(options));
  const gateway = new Gateway(parts);
  partsByGateway.set(gateway, parts);
  return gateway;
}

/** The parts of a gateway created here. */
export const partsOf = (gateway) => partsByGateway.get(gateway);
