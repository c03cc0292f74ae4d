import { createClient } from 'sluice/client';

/**
 * Of all components. In a module of its own, which an edit of a component does not run again: another client
 * would open another stream.
 */
export const client = createClient();
