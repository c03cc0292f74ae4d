/** A progress line on a terminal; no output otherwise. */

const WIDTH = 30;
const REFRESH_MS = 100;

/**
 * @param {{isTTY?: boolean, write: (text: string) => unknown}} stream
 * @returns {{update: (state: {done: number, started: number, failed: number}) => void,
 *   end: () => void}}
 */
export function createProgress(stream) {
  if (!stream.isTTY) return { update() {}, end() {} };
  let drawnAtMs = -Infinity;
  let line = '';
  return {
    update({ done, started, failed }) {
      const filled = Math.floor((WIDTH * done) / started);
      const bar = '#'.repeat(filled).padEnd(WIDTH, '.');
      line = `\r[${bar}] ${done}/${started}${failed > 0 ? `, ${failed} failed` : ''}`;
      if (Date.now() - drawnAtMs < REFRESH_MS && done < started) return;
      drawnAtMs = Date.now();
      stream.write(line);
    },
    end() {
      if (line !== '') stream.write(`${line}\n`);
    },
  };
}
