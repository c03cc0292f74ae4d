/** A headless Chromium, its pages, axe-core, contrasts and pictures, for the browser tests. */

import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const pictures = fileURLToPath(new URL('../../.cache/screenshots', import.meta.url));

/** The system's Chromium; `CHROMIUM_PATH` names another. Nothing is downloaded. */
export function launchChromium() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/**
 * The Chromium of a test file, started before its tests and closed after them.
 * @returns {{browser: import('playwright-core').Browser}} `browser` is set once the tests run
 */
export function useChromium() {
  const started = /** @type {{browser: import('playwright-core').Browser}} */ ({});
  beforeAll(async () => {
    started.browser = await launchChromium();
  });
  afterAll(() => started.browser?.close());
  return started;
}

/**
 * A page that records faults: errors, violated policies, requests to other servers.
 * @param {import('playwright-core').Browser} browser
 * @param {string} url the demo page, with the fragment of a view
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function openPage(browser, url, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  /** @type {string[]} */
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    // Chromium itself reports refused and broken requests; those are part of some tests.
    const expected = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !expected) faults.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin)) faults.push(`request to ${request.url()}`);
  });
  await page.goto(url);
  await page.waitForFunction(
    () =>
      document.querySelector('#model')?.childElementCount ||
      document.querySelector('[data-testid=key-form]:not([hidden])'),
  );
  return { page, faults, close: () => context.close() };
}

/**
 * Actions of a visitor on the demo page, and the cards of jobs.
 * @param {import('playwright-core').Page} page
 */
export function driver(page) {
  const cards = () => page.getByTestId('job');

  /** @param {string} prompt @param {'1' | '4' | '8' | 'lines'} [copies] */
  async function send(prompt, copies = '1') {
    await page.locator(`input[name=copies][value="${copies}"]`).check({ force: true });
    await page.getByLabel('Prompt').fill(prompt);
    await page.keyboard.press('Control+Enter');
  }

  /** The newest card. */
  async function firstCard() {
    const card = cards().first();
    await card.waitFor();
    const id = String(await card.getAttribute('data-job-id'));
    // By id from here on: a newer job would become the first.
    return { id, card: page.locator(`[data-job-id="${id}"]`) };
  }

  /** @param {string} selector @param {number} [count] */
  async function waitForCards(selector, count = 1) {
    await page.waitForFunction(
      ([match, wanted]) => document.querySelectorAll(match).length >= wanted,
      /** @type {[string, number]} */ ([`[data-testid=job]${selector}`, count]),
    );
  }

  /** @param {string} id @param {number} count */
  async function waitForTokens(id, count) {
    await page.waitForFunction(
      ([job, wanted]) =>
        Number(document.querySelector(`[data-job-id="${job}"] [data-part=tokens]`)?.textContent) >=
        wanted,
      /** @type {[string, number]} */ ([id, count]),
    );
  }

  /** @param {import('playwright-core').Locator} card */
  const textOf = (card) => card.getByTestId('text').evaluate((text) => text.textContent);

  return { cards, send, firstCard, waitForCards, waitForTokens, textOf };
}

/**
 * The faults that axe-core finds on a page, by the rules of WCAG 2.2 A and AA.
 * @param {import('playwright-core').Page} page
 * @param {{contrastOnly?: boolean}} [options] `contrastOnly`: for a second theme of a page, which differs in colours
 * @returns {Promise<string[]>} `rule: elements`
 */
export async function axeFaults(page, { contrastOnly = false } = {}) {
  // Evaluated, because the policy of the page runs no inline script.
  await page.evaluate(`globalThis.axe ?? (() => { ${axe.source} })()`);
  const runOnly = contrastOnly
    ? { type: 'rule', values: ['color-contrast'] }
    : { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] };
  return page.evaluate(async (only) => {
    const options = { runOnly: only, resultTypes: ['violations'] };
    const { violations } = await /** @type {any} */ (globalThis).axe.run(document, options);
    return violations.map((/** @type {any} */ { id, nodes }) => {
      const elements = nodes.slice(0, 3).map((/** @type {any} */ { html, any }) => {
        return `${html.slice(0, 120)} ${any[0]?.message ?? ''}`;
      });
      return `${id}: ${elements.join(' | ')}`;
    });
  }, runOnly);
}

/** @param {import('playwright-core').Page} page @param {string} name */
export async function takePicture(page, name) {
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: `${pictures}/${name}.png` });
}

/**
 * Runs in the page: the contrast of texts with their background, as WCAG counts.
 * @param {string} selector of the texts' elements
 */
export function contrasts(selector) {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  if (!canvas) throw new Error('no canvas');
  const luminance = (/** @type {string} */ colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backdrop = (/** @type {Element | null} */ element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
    return 'white';
  };
  /** @type {Record<string, number>} */
  const ratios = {};
  for (const element of document.querySelectorAll(selector)) {
    const [a, b] = [getComputedStyle(element).color, backdrop(element)].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const key = `${element.tagName}.${element.className}.${element.textContent?.slice(0, 12)}`;
    ratios[key] = Math.min(ratio, ratios[key] ?? Infinity);
  }
  return ratios;
}

/**
 * The last of some windows and colour schemes; all with SLUICE_ALL_LOOKS, which the long runs set.
 * @template Look
 * @param {Look[]} all
 * @returns {Look[]}
 */
export const someLooks = (all) => (process.env.SLUICE_ALL_LOOKS ? all : all.slice(-1));
