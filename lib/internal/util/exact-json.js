/**
 * JSON whose integers keep all digits: `JSON.parse` rounds those beyond 2^53. Texts without such
 * integers, the usual case, are parsed and written by `JSON` itself.
 *
 * A number that would be rounded becomes an `ExactNumber`. `JSON.stringify` writes it rounded, as usual;
 * `stringifyExact` with all digits. Main thread only.
 */
import { randomUUID } from 'node:crypto';

/**
 * How `JSON.stringify` writes numbers at the moment; undefined: rounded.
 * @type {((text: string) => unknown) | undefined}
 */
let write;

/** An integer that no double represents. Arithmetic uses the nearest double. Immutable. */
export class ExactNumber {
  #text;

  /** @param {string} text as in JSON */
  constructor(text) {
    this.#text = text;
  }

  valueOf() {
    return Number(this.#text);
  }

  toString() {
    return this.#text;
  }

  toJSON() {
    return write === undefined ? this.valueOf() : write(this.#text);
  }
}

/** Prefix of strings that replace numbers temporarily; random, so that no client's text contains it. */
const MARK = `number ${randomUUID()} `;
const MARKED = new RegExp(`"${MARK}(\\d+)"`, 'g');

/** Digits that every rounded integer has. */
const SUSPICIOUS = /\d{16}/;
const INTEGER = /^-?[1-9]\d{15,}$/;
/** Longer ones are infinite as numbers. */
const DIGITS_MAX = 310;

/** @param {string} token @returns {boolean} */
function isRounded(token) {
  if (token.length > DIGITS_MAX || !INTEGER.test(token)) return false;
  const number = Number(token);
  return Number.isFinite(number) && BigInt(number) !== BigInt(token);
}

/**
 * @param {string} text
 * @param {number} from position of the opening quote
 * @returns {number} position after the closing quote; the end of the text if there is none
 */
function endOfString(text, from) {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let before = at;
    while (text[before - 1] === '\\') before -= 1;
    if ((at - before) % 2 === 0) return at + 1;
  }
  return text.length;
}

/**
 * @param {string} text of JSON
 * @returns {{marked: string, numbers: ExactNumber[]}} the text with arrays of one string instead of
 *   `numbers`
 */
function markNumbers(text) {
  const token = /"|-?\d[\d.eE+-]*/g;
  /** @type {ExactNumber[]} */
  const numbers = [];
  let marked = '';
  let copied = 0;
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const [given] = found;
    if (given === '"') {
      token.lastIndex = endOfString(text, found.index);
    } else if (isRounded(given)) {
      // A plain string could also be the name of a member.
      marked += `${text.slice(copied, found.index)}["${MARK}${numbers.length}"]`;
      copied = token.lastIndex;
      numbers.push(new ExactNumber(given));
    }
  }
  return { marked: marked + text.slice(copied), numbers };
}

/**
 * @param {string} text
 * @returns {any} like `JSON.parse`, but integers that it would round are `ExactNumber`s
 * @throws {SyntaxError}
 */
export function parseExact(text) {
  if (!SUSPICIOUS.test(text)) return JSON.parse(text);
  const { marked, numbers } = markNumbers(text);
  if (numbers.length === 0) return JSON.parse(text);
  return JSON.parse(marked, (_key, value) => {
    const mark = Array.isArray(value) && value.length === 1 ? value[0] : undefined;
    const isMarked = typeof mark === 'string' && mark.startsWith(MARK);
    return isMarked ? numbers[Number(mark.slice(MARK.length))] : value;
  });
}

/**
 * @template T
 * @param {(text: string) => unknown} writer returns the substitute for an `ExactNumber`
 * @param {() => T} work that writes JSON
 * @returns {T}
 */
function writing(writer, work) {
  const outer = write;
  write = writer;
  try {
    return work();
  } finally {
    write = outer;
  }
}

/** @type {string[]} */
const NO_TEXTS = [];

/** Numbers found by `stringifyExact`. @type {string[]} */
let metNumbers = NO_TEXTS;

/** @param {string} text of a number @returns {string} its substitute */
function standIn(text) {
  if (metNumbers === NO_TEXTS) metNumbers = [];
  return MARK + (metNumbers.push(text) - 1);
}

/**
 * @param {unknown} value
 * @returns {string} like `JSON.stringify`, with all digits of `ExactNumber`s
 */
export function stringifyExact(value) {
  const outer = write;
  const outerTexts = metNumbers;
  write = standIn;
  metNumbers = NO_TEXTS;
  try {
    const json = JSON.stringify(value);
    const texts = metNumbers;
    return texts.length === 0 ? json : json.replace(MARKED, (_all, index) => texts[index]);
  } finally {
    write = outer;
    metNumbers = outerTexts;
  }
}

/**
 * @template T
 * @param {T} value of JSON
 * @returns {T} the same value, or a copy in which every `ExactNumber` is rounded
 */
export function rounded(value) {
  let isExact = false;
  const json = writing(
    (text) => {
      isExact = true;
      return Number(text);
    },
    () => JSON.stringify(value),
  );
  return isExact ? JSON.parse(json) : value;
}

/**
 * Runs `work` with a JSON that is equal only for equal values: an `ExactNumber` is written with all digits.
 * @template T
 * @param {() => T} work
 * @returns {T} its result
 */
export function comparing(work) {
  return writing((text) => `integer ${text}`, work);
}
