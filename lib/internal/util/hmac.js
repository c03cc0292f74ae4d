import { hash } from 'node:crypto';

const BLOCK_BYTES = 64;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

/**
 * HMAC-SHA256 (RFC 2104) with one key, by two one-shot hashes: an `Hmac` object of Node is a stream, and costs
 * several times as much as its two hashes.
 */
export class HmacSha256 {
  #inner;
  #outer;

  /** @param {string | Uint8Array} key */
  constructor(key) {
    const bytes = Buffer.from(key);
    const block = Buffer.alloc(BLOCK_BYTES);
    (bytes.length > BLOCK_BYTES ? hash('sha256', bytes, 'buffer') : bytes).copy(block);
    this.#inner = block.map((byte) => byte ^ INNER_PAD);
    this.#outer = block.map((byte) => byte ^ OUTER_PAD);
  }

  /**
   * @param {string | Uint8Array} message
   * @param {import('node:crypto').BinaryToTextEncoding} encoding of the result
   * @returns {string}
   */
  of(message, encoding) {
    const digest = hash('sha256', Buffer.concat([this.#inner, Buffer.from(message)]), 'buffer');
    return hash('sha256', Buffer.concat([this.#outer, digest]), encoding);
  }
}
