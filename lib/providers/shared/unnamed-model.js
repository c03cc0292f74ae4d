/**
 * Placeholder for the model of a request without one, if the provider lists no models: the
 * upstream's default. Jobs show this name; a provider that receives it sends no model upstream.
 */
export const UNNAMED_MODEL = 'default';
