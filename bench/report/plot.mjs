/** The results as a picture: one bar a server, one group a row. */

const WIDTH = 940;
const LABEL_WIDTH = 430;
const BAR_HEIGHT = 20;
const GAP = 6;
const GROUP_GAP = 34;

/** @param {string} text */
const escape = (text) =>
  text.replace(/[&<>"]/g, (c) => `&#${/** @type {number} */ (c.codePointAt(0))};`);

/** @typedef {{label: string, kind: 'ours' | 'peer' | 'floor', value: number}} Bar */

/**
 * @param {import('./verdicts.mjs').RowResult[]} rows
 * @param {string} caption
 * @returns {string} an SVG document
 */
export function plot(rows, caption) {
  const groups = rows.map((row) => {
    const isDelay = row.shows === 'delay';
    const unit = isDelay ? 'ms, 99th percentile' : 'us of server CPU a token';
    const bars = row.cases.flatMap(({ label, setup, streams, sample }) => {
      if (sample === undefined) return [];
      const value = isDelay ? sample.p99_us / 1000 : sample.cpu_us_per_token;
      return [{ label: `${label}, ${streams} streams`, kind: kindOf(setup), value }];
    });
    return { title: `${row.title} (${unit})`, bars };
  });
  return plotBars(groups, caption);
}

/** @param {string} setup @returns {Bar['kind']} */
function kindOf(setup) {
  if (setup.startsWith('sluice')) return 'ours';
  return setup.startsWith('floor') ? 'floor' : 'peer';
}

/**
 * @param {{title: string, bars: Bar[]}[]} groups
 * @param {string} caption
 * @returns {string} an SVG document
 */
export function plotBars(groups, caption) {
  const parts = [];
  let y = 40;
  for (const { title, bars } of groups) {
    if (bars.length === 0) continue;
    const scale = (WIDTH - LABEL_WIDTH - 80) / Math.max(...bars.map(({ value }) => value), 1e-9);
    parts.push(`<text x="10" y="${y}" class="title">${escape(title)}</text>`);
    y += 10;
    for (const { label, kind, value } of bars) {
      const width = Math.max(1, value * scale);
      const middle = y + BAR_HEIGHT - 6;
      parts.push(
        `<text x="${LABEL_WIDTH - 8}" y="${middle}" class="label">${escape(label)}</text>`,
        `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" ` +
          `class="${kind}"/>`,
        `<text x="${(LABEL_WIDTH + width + 6).toFixed(1)}" y="${middle}">${value.toFixed(1)}</text>`,
      );
      y += BAR_HEIGHT + GAP;
    }
    y += GROUP_GAP - GAP;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}">
<style>
  svg { font: 13px sans-serif; } text { fill: #1f2328; }
  .title { font-weight: bold; } .label { text-anchor: end; }
  .ours { fill: #0a7d5a; } .peer { fill: #8b949e; } .floor { fill: #d0d7de; }
</style>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="10" y="18" font-size="11">${escape(caption)}</text>
${parts.join('\n')}
</svg>
`;
}
