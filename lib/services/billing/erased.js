import { randomBytes } from 'node:crypto';

/** Usage of erased callers is kept under this name. */
export const ERASED = 'erased';

/** @returns {string} a new name for the account of an erased caller */
export const erasedAccount = () => `${ERASED}:${randomBytes(12).toString('hex')}`;
