/**
 * Creates docs/reload.png, the animated picture of the README: the real page in Chromium, a prompt, a reload in
 * the middle of its answer, and the end.
 *
 * Usage: node scripts/picture.mjs   CHROMIUM_PATH is the path of the browser; default /usr/bin/chromium
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { createGateway, providers } from '../lib/index.js';
import { animate } from './lib/apng.mjs';
import { root } from './lib/run.mjs';

const SIZE = { width: 920, height: 520 };
const BYTES_MAX = 2 ** 20;
const TOKEN_MS = 120;
/** Pictures before and after the reload, and their display times. */
const FRAMES = 8;
const FRAME_MS = 400;
const LONG_MS = 1200;

const provider = providers.demo({ tokenIntervalMs: TOKEN_MS });
const gateway = createGateway({ provider, logger: false });
const server = await gateway.listen();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu'],
});
try {
  const page = await browser.newPage({ viewport: SIZE, colorScheme: 'light' });
  /** @type {{png: Buffer, ms: number}[]} */
  const frames = [];
  const take = async (ms = FRAME_MS) => frames.push({ png: await page.screenshot(), ms });
  /** Waits until the answer streams. */
  const show = () => page.locator('[data-testid=message][data-begun=true]').waitFor();
  await page.goto(server.url);
  await page.getByLabel('Hide this notice').click();
  await page.getByLabel('Prompt').fill('What happens when I reload this page?');
  await take(LONG_MS);
  await page.keyboard.press('Enter');
  await show();
  for (let i = 0; i < FRAMES; i += 1) {
    await page.waitForTimeout(TOKEN_MS * 3);
    await take();
  }
  // The answer is incomplete at this point.
  await page.reload();
  await show();
  for (let i = 0; i < FRAMES; i += 1) {
    await take();
    await page.waitForTimeout(TOKEN_MS * 3);
  }
  await page.getByTestId('again').last().waitFor();
  await take(3 * LONG_MS);
  const picture = animate(frames);
  if (picture.length > BYTES_MAX) throw new Error(`the picture has ${picture.length} bytes`);
  writeFileSync(join(root, 'docs/reload.png'), picture);
  console.log(`docs/reload.png written: ${frames.length} frames, ${picture.length} bytes`);
} finally {
  await browser.close();
  await gateway.close({ drainMs: 0 });
}
