// @ts-check
/** What a claim has its words from: a citation's mark opens the document at its side, the passage marked and in sight. */
import { call, Problem } from './api.js';
import { cover, uncover } from './back.js';

/** Where there is room it stands beside the conversation. */
const ROOMY = matchMedia('(min-width: 64rem)');

const still = /** @type {const} */ ({ behavior: 'instant' });

export class Source {
  /** @type {HTMLElement|null} */
  #mark = null;
  #asked = new AbortController();
  #back = () => void this.close();

  /**
   * @param {HTMLElement} node the panel @param {HTMLElement} log where the marks are
   * @param {() => string|null} session whose context the documents are of
   */
  constructor(node, log, session) {
    this.node = node;
    this.title = /** @type {HTMLElement} */ (node.querySelector('h2'));
    this.place = /** @type {HTMLElement} */ (node.querySelector('p'));
    this.text = /** @type {HTMLElement} */ (node.querySelector('pre'));
    this.session = session;
    log.addEventListener('click', ({ target }) => {
      const mark = target instanceof Element ? target.closest('button.cite') : null;
      if (mark instanceof HTMLElement) this.#open(mark);
    });
    node.querySelector('button')?.addEventListener('click', () => this.close());
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
    const { document: number, start, end, text = '', pages = '' } = mark.dataset;
    // Of a PDF the page has the words that are cited, and says where they are.
    this.title.textContent = pages ? mark.title.slice(0, -`, ${pages}`.length) : mark.title;
    this.place.textContent = pages && `${pages[0].toUpperCase()}${pages.slice(1)}: the words that the answer cites`;
    this.text.replaceChildren(number === undefined ? marked(text) : '');
    steadily(mark, () => { this.node.hidden = false; });
    if (!ROOMY.matches) cover(this.#back);
    this.text.focus({ preventScroll: true });
    if (number !== undefined) await this.#fetch(`${number}?start=${start}&end=${end}`, this.#asked.signal);
  }

  /** @param {string} path @param {AbortSignal} signal another mark, or none, is open by now */
  async #fetch(path, signal) {
    try {
      const found = await call('GET', `/api/sessions/${this.session()}/documents/${path}`, undefined, signal);
      if (signal.aborted) return;
      const { title, before, passage, after, first_line: first, last_line: last, from_char: from, chars } = found;
      const passed = from + before.length + passage.length + after.length;
      this.title.textContent = title;
      this.place.textContent = first === last ? `line ${first}` : `lines ${first}–${last}`;
      const mark = marked(passage);
      this.text.replaceChildren(from ? '…\n' : '', before, mark, after, passed < chars ? '\n…' : '');
      this.text.scrollTo({ top: mark.offsetTop - this.text.clientHeight / 3, ...still });
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
