/**
 * Reads an event stream byte by byte and records faults that a lenient parser hides: bytes that are not UTF-8,
 * lines without a field, and a last block without its blank line. Used only by `Stream`.
 */

/**
 * The lines from one blank line to the next.
 * @typedef {object} Block
 * @property {string} [event] the last `event` field
 * @property {string} [id] the last `id` field
 * @property {string} [data] the `data` fields, joined by LF; undefined: no such field
 * @property {string} [retry]
 * @property {number} end offset in the body of the byte after the blank line
 */

const LF = 0x0a;
const CR = 0x0d;
const FIELDS = Object.freeze(['data', 'event', 'id', 'retry']);
const BOM = '\ufeff';

export class BlockReader {
  #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** @type {Buffer[]} pieces of the incomplete line */
  #line = [];
  #afterCr = false;
  #first = true;
  /** @type {Block & {lines: number}} */
  #block = { end: 0, lines: 0 };
  #offset = 0;
  #onBlock;

  /** @type {string[]} violations of the grammar */
  violations = [];
  /** @type {string[]} text after the colon of each comment line */
  comments = [];

  /** @param {(block: Block) => void} onBlock called for each block with a field */
  constructor(onBlock) {
    this.#onBlock = onBlock;
  }

  /** @param {Buffer} bytes */
  feed(bytes) {
    let start = 0;
    for (let i = 0; i < bytes.length; i += 1) {
      const byte = bytes[i];
      if (byte === LF && this.#afterCr && start === i) {
        // The second half of CRLF: it belongs to the previous line.
        this.#afterCr = false;
        start = i + 1;
        continue;
      }
      this.#afterCr = byte === CR;
      if (byte !== LF && byte !== CR) continue;
      this.#line.push(bytes.subarray(start, i));
      start = i + 1;
      this.#endLine(this.#offset + start);
    }
    if (start < bytes.length) {
      this.#afterCr = false;
      this.#line.push(bytes.subarray(start));
    }
    this.#offset += bytes.length;
  }

  /** Call it at the end of the body. */
  end() {
    if (this.#line.length > 0 || this.#block.lines > 0) {
      this.violations.push('the body ends in the middle of an event: clients discard it');
    }
  }

  /** @param {number} end */
  #endLine(end) {
    const bytes = this.#line.length === 1 ? this.#line[0] : Buffer.concat(this.#line);
    this.#line = [];
    let line;
    try {
      line = this.#decoder.decode(bytes);
    } catch {
      this.violations.push(`a line is not UTF-8: ${bytes.subarray(0, 60).toString('latin1')}`);
      line = bytes.toString('utf8');
    }
    if (this.#first && line.startsWith(BOM)) line = line.slice(1);
    this.#first = false;
    if (line !== '') this.#takeLine(line);
    else this.#endBlock(end);
  }

  /** @param {number} end */
  #endBlock(end) {
    const { lines, ...block } = this.#block;
    this.#block = { end: 0, lines: 0 };
    if (lines > 0) this.#onBlock({ ...block, end });
  }

  /** @param {string} line */
  #takeLine(line) {
    const colon = line.indexOf(':');
    if (colon === 0) {
      this.comments.push(line.slice(1));
      return;
    }
    const name = colon < 0 ? line : line.slice(0, colon);
    const rest = colon < 0 ? '' : line.slice(colon + 1);
    const value = rest.startsWith(' ') ? rest.slice(1) : rest;
    this.#block.lines += 1;
    if (!FIELDS.includes(name)) {
      this.violations.push(
        `a line is no field that clients know: ${JSON.stringify(line.slice(0, 80))}`,
      );
    } else if (name === 'data') {
      const { data } = this.#block;
      this.#block.data = data === undefined ? value : `${data}\n${value}`;
    } else if (name === 'id') {
      if (value.includes('\0')) this.violations.push('an id contains U+0000: clients ignore it');
      this.#block.id = value;
    } else if (name === 'retry') {
      if (!/^\d+$/.test(value)) {
        this.violations.push(`retry is no number: ${JSON.stringify(value)}`);
      }
      this.#block.retry = value;
    } else {
      this.#block.event = value;
    }
  }
}
