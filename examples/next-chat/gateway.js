import { createGateway } from 'sluice';
import { model } from './model.js';

// In development Next.js loads modules again; the gateway and its jobs stay.
globalThis.sluiceGateway ??= createGateway({ provider: model });
export const gateway = globalThis.sluiceGateway;
