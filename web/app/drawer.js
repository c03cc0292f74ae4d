/** The side bar as a drawer on narrow screens: a button opens it; a link, Escape or a press beside it closes it. */

/** @param {HTMLElement} drawer @param {HTMLElement} button */
export function connectDrawer(drawer, button) {
  const set = (/** @type {boolean} */ open) => {
    document.body.dataset.drawer = open ? 'open' : 'closed';
    button.setAttribute('aria-expanded', String(open));
  };
  const isOpen = () => document.body.dataset.drawer === 'open';
  button.addEventListener('click', () => {
    set(!isOpen());
    if (isOpen()) /** @type {HTMLElement | null} */ (drawer.querySelector('a'))?.focus();
  });
  drawer.addEventListener('click', (event) => {
    if (/** @type {Element} */ (event.target).closest('a')) set(false);
  });
  addEventListener('hashchange', () => set(false));
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !isOpen()) return;
    set(false);
    button.focus();
  });
  document.addEventListener('pointerdown', (event) => {
    const target = /** @type {Node} */ (event.target);
    if (isOpen() && !drawer.contains(target) && !button.contains(target)) set(false);
  });
}
