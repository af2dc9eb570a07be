// @ts-check
/** What else the next question brings: others to be asked at the same time, and the same one without Headstart. */

export class Together {
  /** @param {import('./composer.js').Composer} composer */
  constructor(composer) {
    this.composer = composer;
    const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
    this.list = find('queued');
    this.without = find('without');
    this.another = /** @type {HTMLButtonElement} */ (find('another'));
    this.another.addEventListener('click', () => this.#queue());
    this.without.addEventListener('click', () => {
      this.without.ariaPressed = String(this.without.ariaPressed !== 'true');
      composer.input.focus();
    });
  }

  get questions() {
    return [...this.list.querySelectorAll('span')].map((span) => span.textContent || '');
  }

  /** What is to be asked beside the next question; then nothing is any more. */
  take() {
    const taken = { questions: this.questions, without: this.without.ariaPressed === 'true' };
    this.list.replaceChildren();
    this.list.hidden = true;
    this.without.ariaPressed = 'false';
    return taken;
  }

  /** @param {{questions: string[], without: boolean}} taken what could not be asked comes back */
  give({ questions, without }) {
    for (const question of questions) this.#add(question);
    this.without.ariaPressed = String(without);
  }

  #queue() {
    const { composer } = this;
    if (!composer.sendButton.disabled) {
      this.#add(composer.value);
      composer.value = '';
    }
    composer.input.focus();
  }

  /** @param {string} question */
  #add(question) {
    const [item, text, remove] = ['li', 'span', 'button'].map((tag) => document.createElement(tag));
    text.textContent = question;
    remove.textContent = '✕';
    remove.setAttribute('type', 'button');
    remove.ariaLabel = `Do not ask: ${question}`;
    remove.addEventListener('click', () => {
      item.remove();
      this.list.hidden = !this.list.childElementCount;
      this.composer.input.focus();
    });
    item.append(text, remove);
    this.list.append(item);
    this.list.hidden = false;
  }
}
