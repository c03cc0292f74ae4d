/**
 * The length of the crash tests. `npm test` runs enough rounds for each kind of moment to come up;
 * `npm run test:soak` runs many.
 */
const ROUNDS_DEFAULT = 4;

/** How often a test kills its server: SLUICE_CRASH_ROUNDS. */
export const rounds = Number(process.env.SLUICE_CRASH_ROUNDS ?? ROUNDS_DEFAULT);

/** The seed of the moments: SLUICE_CRASH_SEED; default: another one each time. */
export const seed = Number(process.env.SLUICE_CRASH_SEED ?? Date.now() % 2 ** 31);
