/** All rules, in the order in which they run: a drain ends the server, so it comes last. */
import { cancel } from './cancel.js';
import { cursors } from './cursors.js';
import { delivery } from './delivery.js';
import { endings } from './endings.js';
import { framing } from './framing.js';
import { submissions } from './submissions.js';

/** @typedef {import('./rule.js').Rule} Rule */

/** @type {readonly Rule[]} */
export const RULES = Object.freeze([
  ...[...framing, ...delivery, ...cursors, ...endings],
  ...[...cancel, ...submissions],
]);

/** @param {Rule} rule @returns {string} the part of its id before the slash */
export const groupOf = ({ id }) => id.slice(0, id.indexOf('/'));
