/** Copies a text. `navigator.clipboard` is missing on pages loaded over plain HTTP from other machines. */

/** @param {string} text @returns {boolean} whether the browser copied it */
function copyBySelection(text) {
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'visually-hidden';
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  document.body.append(field);
  field.select();
  try {
    return document.execCommand('copy');
  } finally {
    field.remove();
    focused?.focus();
  }
}

/** @param {string} text @returns {Promise<boolean>} whether the copy succeeded */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}
