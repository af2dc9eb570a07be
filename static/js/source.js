// @ts-check
/**
 * A document at the conversation's side: what a claim has its words from, the passage marked and in sight, when a citation's mark
 * is pressed, or from its beginning or at some lines, where it is named.
 */
import { call, Problem } from './api.js';
import { cover, uncover } from './back.js';
import { count, size } from './numbers.js';

/** Where there is room it stands beside the conversation. */
const ROOMY = matchMedia('(min-width: 64rem)');

const still = /** @type {const} */ ({ behavior: 'instant' });

export class Source {
  /** @type {HTMLElement|null} */
  #mark = null;
  #asked = new AbortController();
  #back = () => void this.close();

  /**
   * @param {HTMLElement} node the panel @param {() => string|null} session whose context the cited documents are of
   */
  constructor(node, session) {
    this.node = node;
    this.title = /** @type {HTMLElement} */ (node.querySelector('h2'));
    this.place = /** @type {HTMLElement} */ (node.querySelector('p'));
    this.text = /** @type {HTMLElement} */ (node.querySelector('pre'));
    this.session = session;
    addEventListener('click', ({ target }) => {
      const mark = target instanceof Element ? target.closest('.cite, .opens') : null;
      // Who has selected something of it was about that.
      if (mark instanceof HTMLElement && (mark.localName !== 'code' || getSelection()?.isCollapsed)) this.#open(mark);
    });
    addEventListener('keydown', (event) => {
      const { target, key } = event;
      if (!(target instanceof HTMLElement && target.matches('code.opens')) || (key !== 'Enter' && key !== ' ')) return;
      event.preventDefault();
      this.#open(target);
    });
    node.querySelector('button')?.addEventListener('click', () => this.close());
    addEventListener('focusin', ({ target }) => {
      // What has the focus is in sight.
      if (!(target instanceof Element) || ROOMY.matches || !this.#mark || target.closest('.source, .quote, dialog')) return;
      if (target.getBoundingClientRect().left >= node.getBoundingClientRect().left) this.close();
    });
  }

  /** @returns {boolean} whether it was open */
  close() {
    const mark = this.#mark;
    if (!mark) return false;
    const held = this.node.contains(document.activeElement);
    this.#forget();
    steadily(mark, () => { this.node.hidden = true; });
    uncover(this.#back);
    if (held && mark.isConnected) mark.focus({ preventScroll: true });
    return true;
  }

  #forget() {
    this.#asked.abort();
    this.#mark?.removeAttribute('data-reader-opened');
    this.#mark = null;
  }

  /** @param {HTMLElement} mark */
  async #open(mark) {
    this.#forget();
    this.#mark = mark;
    this.#asked = new AbortController();
    mark.setAttribute('data-reader-opened', '');
    const { context, document: number, start, end, first = 0, last = 0, text = '', pages = '' } = mark.dataset;
    // Of a PDF the page has the words that are cited, and says where they are.
    this.title.textContent = pages ? mark.title.slice(0, -`, ${pages}`.length) : mark.title;
    this.place.textContent = pages && `${pages[0].toUpperCase()}${pages.slice(1)}: the words that the answer cites`;
    this.text.replaceChildren(number === undefined ? marked(text) : '');
    steadily(mark, () => { this.node.hidden = false; });
    if (!ROOMY.matches) cover(this.#back);
    this.text.focus({ preventScroll: true });
    const path = context ? `contexts/${context}/documents/${number}?first_line=${first}&last_line=${last}` : `sessions/${this.session()}/documents/${number}?start=${start}&end=${end}`;
    if (number !== undefined) await this.#fetch(path, this.#asked.signal);
  }

  /** @param {string} path @param {AbortSignal} signal another mark, or none, is open by now */
  async #fetch(path, signal) {
    try {
      const found = await call('GET', `/api/${path}`, undefined, signal);
      if (signal.aborted) return;
      const { title, before, passage, after, first_line: first, last_line: last, from_char: from, chars, bytes } = found;
      const given = before.length + passage.length + after.length;
      this.title.textContent = title;
      if (passage) this.place.textContent = first === last ? `line ${first}` : `lines ${first}–${last}`;
      else this.place.textContent = given < chars ? `${from ? 'The last' : 'The first'} ${count(given)} of ${count(chars)} characters` : size(bytes);
      const mark = passage && marked(passage);
      this.text.replaceChildren(from ? '…\n' : '', before, mark, after, from + given < chars ? '\n…' : '');
      if (!chars) this.text.textContent = 'A PDF: the model reads its pages as they are, and no text of it is kept.';
      this.text.scrollTo({ top: mark ? mark.offsetTop - this.text.clientHeight / 3 : 0, ...still });
    } catch (error) {
      if (!signal.aborted) this.text.textContent = Problem.from(error).sentence;
    }
  }
}

/** @param {string} text */
function marked(text) {
  const mark = document.createElement('mark');
  mark.textContent = text;
  return mark;
}

/** Changes the page and leaves `mark` where the reader saw it. @param {Element} mark @param {() => void} change */
function steadily(mark, change) {
  const before = mark.getBoundingClientRect().top;
  change();
  if (mark.isConnected) scrollBy({ top: mark.getBoundingClientRect().top - before, ...still });
}
