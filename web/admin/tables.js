/** The tables of the dashboard: each element with `data-table` gets the one template, with its own caption. */

/** @param {ParentNode} root @param {HTMLTemplateElement} template */
export function buildTables(root, template) {
  for (const each of root.querySelectorAll('[data-table]')) {
    const place = /** @type {HTMLElement} */ (each);
    const { table: name = '', caption = '', captionHidden, empty } = place.dataset;
    const fragment = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    const table = /** @type {HTMLTableElement} */ (fragment.querySelector('table'));
    const note = /** @type {HTMLElement} */ (fragment.querySelector('.empty-note'));
    table.dataset.testid = name;
    const title = /** @type {HTMLElement} */ (table.caption);
    title.textContent = caption;
    title.classList.toggle('visually-hidden', captionHidden !== undefined);
    if (empty === undefined) note.remove();
    else {
      note.dataset.testid = `no-${name.replace(/^job-/, '')}`;
      note.textContent = empty;
    }
    place.append(fragment);
    // What scrolls is reached by the keyboard, and has a name.
    place.tabIndex = 0;
    place.role ??= 'group';
    place.ariaLabel ??= caption;
  }
}
