/**
 * The model of a request that names none, where the provider lists none: whatever the upstream
 * takes for its default. It is what jobs show; a provider that sees it names no model upstream.
 */
export const UNNAMED_MODEL = 'default';
