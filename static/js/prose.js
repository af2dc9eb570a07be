// @ts-check
/**
 * An answer's blocks on the page. What is there already is changed only where it differs, so that nothing jumps, and a
 * selection, a scrolled box and a pressed button stay; and the buttons that the blocks bring do what they say.
 */
import { copy } from './clipboard.js';
import { fragment } from './html.js';

export class Prose {
  /** @type {string[]} */
  #shown = [];

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
  }

  /** @param {string[]} blocks the HTML of all of them: one element each, but the last, which may be a few */
  show(blocks) {
    let from = 0;
    while (from < this.#shown.length && this.#shown[from] === blocks[from]) from++;
    if (from === this.#shown.length && from === blocks.length) return;
    this.#shown = blocks.slice();
    patch(this.root, fragment(blocks.slice(from).join('')), from);
  }
}

/** Makes the children of `old`, from one of them on, those of `fresh`. @param {Node} old @param {Node} fresh @param {number} [from] */
function patch(old, fresh, from = 0) {
  /** @type {ChildNode|null} */
  let have = old.childNodes[from] ?? null;
  for (let want = fresh.firstChild; want; want = fresh.firstChild) {
    /** @type {ChildNode|null} */
    const next = have?.nextSibling ?? null;
    if (have && same(have, want)) {
      want.remove();
    } else {
      if (have) have.replaceWith(want);
      else old.appendChild(want);
    }
    have = next;
  }
  while (have) {
    const next = have.nextSibling;
    old.removeChild(have);
    have = next;
  }
}

/** Whether `have` could be made into `want`, and now is. @param {Node} have @param {Node} want */
function same(have, want) {
  if (have.nodeName !== want.nodeName) return false;
  if (have instanceof Text && want instanceof Text) {
    if (want.data.startsWith(have.data)) have.appendData(want.data.slice(have.length));
    else have.data = want.data;
  } else if (have instanceof Element && want instanceof Element && !have.isEqualNode(want)) {
    dress(have, want);
    patch(have, want);
  }
  return true;
}

/** What the reader did to an element is in its `data-reader-…`, and stays. @param {Element} have @param {Element} want */
function dress(have, want) {
  for (const { name, value } of want.attributes) if (have.getAttribute(name) !== value) have.setAttribute(name, value);
  for (const { name } of [...have.attributes]) {
    if (!want.hasAttribute(name) && !/^(data-reader-|aria-pressed)/.test(name)) have.removeAttribute(name);
  }
}

/** A table for where others are made: a line a row, its cells parted by tabs, without marks of sources. @param {HTMLElement} table */
const rowsOf = (table) => [...table.querySelectorAll('tr')].map((row) => [...row.children].map((cell) => {
  const plain = /** @type {HTMLElement} */ (cell.cloneNode(true));
  for (const mark of plain.querySelectorAll('sup')) mark.remove();
  return plain.textContent?.trim().replace(/\s+/g, ' ');
}).join('\t')).join('\n');

/** Have the buttons of code in `root` copy it and wrap its lines, and those of tables copy them. @param {HTMLElement} root @param {(news: string) => void} say */
export function tendFigures(root, say) {
  root.addEventListener('click', ({ target }) => {
    const button = target instanceof Element ? target.closest('button') : null;
    const figure = button?.closest('figure');
    if (!button || !figure) return;
    if (button.classList.contains('wrap')) button.ariaPressed = String(figure.toggleAttribute('data-reader-wraps'));
    if (!button.classList.contains('copy')) return;
    const shown = /** @type {HTMLElement} */ (figure.querySelector('table, code'));
    copy(shown.matches('table') ? rowsOf(shown) : shown.textContent || '', shown, button, say);
  });
}
