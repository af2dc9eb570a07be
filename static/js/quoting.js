// @ts-check
/**
 * Words that the reader has selected in an answer, or in a source beside it: a button below them has the next question quote
 * them. chat.js loads it when something is selected.
 */

const SETTLED_MS = 150;
const LONGEST = 4000;
const GAP_PX = 8;

export class Quoting {
  #words = '';
  #settled = 0;

  /** @param {HTMLElement} button that is shown @param {(words: string) => void} quote */
  constructor(button, quote) {
    this.button = button;
    this.quote = quote;
    document.addEventListener('selectionchange', () => this.#lookSoon());
    for (const moved of ['scroll', 'resize']) addEventListener(moved, () => this.#words && this.#place(), { capture: true, passive: true });
    // A press would select nothing, and what is selected is what it is about.
    button.addEventListener('pointerdown', (event) => event.preventDefault());
    button.addEventListener('click', () => this.#take());
    this.#lookSoon();
  }

  #lookSoon() {
    clearTimeout(this.#settled);
    this.#settled = setTimeout(() => this.#look(), SETTLED_MS);
  }

  /** Quotes what is selected, if that can be. */
  now() {
    this.#look();
    if (this.#words) this.#take();
  }

  #take() {
    const words = this.#words;
    getSelection()?.removeAllRanges();
    this.#look();
    this.quote(words);
  }

  #look() {
    const selection = getSelection();
    const read = selection && !selection.isCollapsed && readIn(selection.getRangeAt(0));
    // Numbers of citations are not among the words.
    if (read) read.dataset.quoting = '';
    const words = read ? String(selection).trim() : '';
    if (read) delete read.dataset.quoting;
    this.#words = words.length > LONGEST ? `${words.slice(0, LONGEST)}…` : words;
    this.#place();
  }

  /** Below as much of it as is in sight. */
  #place() {
    const selection = getSelection();
    const rects = this.#words && selection?.rangeCount ? [...selection.getRangeAt(0).getClientRects()] : [];
    const last = rects.filter(({ width, bottom }) => width && bottom > 0 && bottom < innerHeight).at(-1);
    this.button.hidden = !last;
    if (!last) return;
    const { offsetWidth: width, offsetHeight: height } = this.button;
    this.button.style.left = `${Math.max(GAP_PX, Math.min(last.right - width / 2, innerWidth - width - GAP_PX))}px`;
    this.button.style.top = `${Math.min(last.bottom + GAP_PX, innerHeight - height - GAP_PX)}px`;
  }
}

/** The answer, or the source, that all of it is in. @param {Range} range @returns {HTMLElement|null} */
function readIn({ startContainer: start, endContainer: end, endOffset }) {
  const whole = (start instanceof Element ? start : start.parentElement)?.closest('.prose, .source pre');
  // Three clicks select to where the next paragraph begins, which may be below the answer.
  const within = whole?.contains(end) || (!endOffset && whole?.closest('.turn, .source')?.contains(end));
  return whole instanceof HTMLElement && within ? whole : null;
}
