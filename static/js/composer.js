// @ts-check
/** The input: keys, height, the draft that outlives a reload, Send and Stop. Knows nothing of turns. */
import { draftOf, keepDraft } from './drafts.js';
import { onlyTouch, sends } from './shortcuts.js';

const NOTICED_MS = 800;

export class Composer {
  #locked = false;
  #slow = 0;
  #long = false;
  /** @type {string|null} what the draft is written for */
  #about = null;
  #waits = false;
  #held = false;

  /**
   * @param {HTMLFormElement} form
   * @param {{about: (trigger: 'focus'|'keystroke') => void, send: (question: string) => void, stop: () => void, held: (held: boolean) => void,
   *   long: (long: boolean) => void}} on `long`: whether there is more in it than a question may have
   */
  constructor(form, on) {
    this.form = form;
    this.input = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem('question'));
    this.sendButton = /** @type {HTMLButtonElement} */ (form.querySelector('.send'));
    this.stopButton = /** @type {HTMLButtonElement} */ (form.querySelector('.stop'));
    this.on = on;
    this.#settle();
    if (!onlyTouch()) this.input.enterKeyHint = 'send';
    this.input.addEventListener('focus', () => on.about('focus'));
    this.input.addEventListener('input', () => {
      this.takeBack();
      this.#settle();
      on.about('keystroke');
    });
    this.input.addEventListener('keydown', (event) => this.#key(event));
    this.stopButton.addEventListener('click', () => on.stop());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (!this.takeBack()) this.submit();
    });
  }

  /** Has the focus where nothing else should. A screen's own keyboard comes up only when it is wanted. */
  focus() {
    if (!onlyTouch()) this.input.focus({ preventScroll: true });
  }

  /** Whether the reader is at it. */
  get busy() {
    return document.activeElement === this.input && this.value.trim() !== '';
  }

  get locked() {
    return this.#locked;
  }

  get value() {
    return this.input.value;
  }

  set value(text) {
    this.takeBack();
    this.input.value = text;
    this.#settle();
  }

  /** @param {string} text to be below what is written */
  add(text) {
    const before = this.value.trimEnd();
    this.value = before ? `${before}\n\n${text}` : text;
  }

  /** @param {string} words that the question is about: below them it can be written */
  quote(words) {
    if (this.#locked) return;
    this.add(`${words.replace(/^/gm, '> ')}\n\n`);
    this.input.focus();
    this.input.setSelectionRange(this.value.length, this.value.length);
    this.input.scrollTop = this.input.scrollHeight;
  }

  /**
   * Goes on with the draft for something else.
   * @param {string} about @param {boolean} [along] what is written goes along: also what was, before this was here
   */
  turnTo(about, along = this.#about === null) {
    if (about === this.#about) return;
    const text = along ? this.value : '';
    if (along && this.#about !== null) keepDraft(this.#about, '');
    this.#about = about;
    this.value = draftOf(about);
    if (text && text !== this.value) this.add(text);
  }

  /** Sends the question, or holds it until the answer on its way has come. */
  submit() {
    if (this.#locked || this.#long || !this.value.trim()) return;
    if (this.#waits) return this.#hold(true);
    this.#hold(false);
    if (document.activeElement === this.sendButton) this.input.focus();
    this.on.send(this.value);
  }

  /** Whether a question waits for an answer to end. */
  get held() {
    return this.#held;
  }

  /** @returns {boolean} whether there was a question held, which is only written now */
  takeBack() {
    const { held } = this;
    this.#hold(false);
    return held;
  }

  /** @param {boolean} on */
  #hold(on) {
    if (on === this.#held) return;
    this.#held = on;
    this.#label();
    this.on.held(on);
  }

  #label() {
    this.sendButton.textContent = this.#held ? 'Take back' : 'Send';
  }

  /** @param {boolean} on while the server has not yet accepted or refused the question */
  lock(on) {
    this.#locked = on;
    this.input.readOnly = on;
    this.form.setAttribute('aria-busy', String(on));
    clearTimeout(this.#slow);
    this.#label();
    if (on) this.#slow = setTimeout(() => { this.sendButton.textContent = 'Sending…'; }, NOTICED_MS);
    this.#settle();
  }

  /** @param {boolean} waits the next question for an answer on its way @param {boolean} any is there to be stopped */
  running(waits, any) {
    const at = document.activeElement;
    // What is stopping may go on for a while beside what has only begun.
    if (!any || (waits && !this.#waits)) this.stopping(false);
    this.#waits = waits;
    this.stopButton.hidden = !any;
    if (at === this.stopButton && !any) this.focus();
  }

  /** @param {boolean} on while the server has been, or is still to be, told */
  stopping(on) {
    this.stopButton.disabled = on;
    this.stopButton.textContent = on ? 'Stopping…' : 'Stop';
  }

  #settle() {
    if (this.#about !== null) keepDraft(this.#about, this.value);
    const long = this.#isLong();
    if (long !== this.#long) this.on.long(this.#long = long);
    this.sendButton.disabled = this.#locked || long || !this.value.trim();
    if (CSS.supports('field-sizing', 'content')) return;
    this.input.rows = Math.min(10, this.value.split('\n').length + Math.floor(this.value.length / 80));
  }

  /** By characters, as the server counts: what this counts may be two for one. */
  #isLong() {
    const most = Number(this.input.dataset.most);
    return this.value.length > most && [...this.value].length > most;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!sends(event)) return;
    event.preventDefault();
    this.submit();
  }
}
