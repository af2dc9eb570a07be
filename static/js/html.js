// @ts-check
/** The one place where a string becomes markup: HTML that our own server rendered and cleaned. All else stays text. */

// TypeScript does not know of it yet.
const { trustedTypes } = /** @type {any} */ (globalThis);
const policy = trustedTypes?.createPolicy('headstart', { createHTML: (/** @type {string} */ html) => html });

/** @param {string} html of our server's @returns {any} what the browser takes where the page's policy wants it trusted */
export const trusted = (html) => policy?.createHTML(html) ?? html;

/** @param {string} html of our server's @returns {DocumentFragment} */
export function fragment(html) {
  const template = document.createElement('template');
  template.innerHTML = trusted(html);
  return template.content;
}

/** @param {string} tag @param {Record<string, string|number>} attributes */
export function drawn(tag, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return node;
}
