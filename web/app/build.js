/**
 * An element with its children; strings become text, never markup.
 * @param {string} tag
 * @param {string} className
 * @param {...(Node | string)} children
 */
export function build(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}
