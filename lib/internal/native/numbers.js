/** Reads the enumerations and layouts that the addon exports, and detects an addon of another version. */
import native from './addon.js';
import { SluiceError } from '../util/errors.js';

/**
 * Numbers that the addon exports, by name: an enumeration (native/addon/enums.cc) or a layout. Modules
 * read them when they are loaded, so that an addon of another version fails at start.
 * @template {string} Name
 * @param {string} path among the addon's exports: `enums.EventKind`
 * @param {readonly Name[]} names that the caller uses
 * @returns {Readonly<Record<Name, number>>}
 * @throws {SluiceError} `ERR_ADDON_STALE` if the addon lacks one of them
 */
export function nativeNumbers(path, names) {
  const numbers = path.split('.').reduce((owner, name) => owner?.[name], native);
  const missing = names.find((name) => typeof numbers?.[name] !== 'number');
  if (missing !== undefined) {
    throw new SluiceError(
      'ERR_ADDON_STALE',
      `Sluice's native addon is of another version: it has no ${path}.${missing}.` +
        ' In a clone of the repository, run "npm run build"; otherwise install the package again,' +
        ' or set SLUICE_ADDON_PATH to an addon of this version.',
    );
  }
  return Object.freeze({ ...numbers });
}

/**
 * The names of such numbers, as an array by number.
 * @template {string} Name
 * @param {string} path
 * @param {readonly Name[]} names
 * @returns {readonly Name[]}
 */
export function nativeNames(path, names) {
  const numbers = nativeNumbers(path, names);
  /** @type {Name[]} */
  const byNumber = [];
  for (const name of names) byNumber[numbers[name]] = name;
  return Object.freeze(byNumber);
}
