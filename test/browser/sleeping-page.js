/**
 * A page that can be put to sleep, as browsers do to tabs in the background. Playwright keeps its
 * pages awake, so this one is outside its contexts, and is driven by the DevTools protocol alone.
 */
import { until } from '../support/until.js';

/**
 * @param {import('playwright-core').Browser} browser
 * @param {string} url
 */
export async function openSleepingPage(browser, url) {
  const session = await browser.newBrowserCDPSession();
  const { targetId } = await session.send('Target.createTarget', { url });
  const { sessionId } = await session.send('Target.attachToTarget', { targetId, flatten: false });
  let lastId = 0;
  /** @type {Map<number, (answer: any) => void>} */
  const waiting = new Map();
  session.on('Target.receivedMessageFromTarget', ({ message }) => {
    const { id, error, result } = JSON.parse(message);
    waiting.get(id)?.(error === undefined ? result : Promise.reject(new Error(error.message)));
    waiting.delete(id);
  });

  /** @param {string} method @param {object} [params] @returns {Promise<any>} */
  function send(method, params = {}) {
    lastId += 1;
    const message = JSON.stringify({ id: lastId, method, params });
    const answer = new Promise((resolve) => waiting.set(lastId, resolve));
    void session.send('Target.sendMessageToTarget', { sessionId, message });
    return answer;
  }

  /** @param {string} expression @returns {Promise<any>} its value, passed as JSON */
  async function evaluate(expression) {
    const answer = await send('Runtime.evaluate', { expression, returnByValue: true });
    if (answer.exceptionDetails !== undefined) throw new Error(answer.exceptionDetails.text);
    return answer.result.value;
  }

  /** @param {string} expression @param {string} what */
  const untilTrue = (expression, label) => until(() => evaluate(expression), label);

  return {
    evaluate,
    until: untilTrue,
    /** @param {string} selector @param {string} text */
    async type(selector, text) {
      await untilTrue(`document.querySelector('${selector}') !== null`, selector);
      await evaluate(`document.querySelector('${selector}').focus()`);
      await send('Input.insertText', { text });
    },
    async freeze() {
      await evaluate(`globalThis.slept = false;
        document.addEventListener('freeze', () => { globalThis.slept = true; })`);
      await send('Page.setWebLifecycleState', { state: 'frozen' });
    },
    /** @returns {Promise<boolean>} whether the page has been asleep */
    async wake() {
      await send('Page.setWebLifecycleState', { state: 'active' });
      return evaluate('globalThis.slept');
    },
    close: () => session.send('Target.closeTarget', { targetId }),
  };
}
