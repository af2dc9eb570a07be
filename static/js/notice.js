// @ts-check
/** The line above the input that says what went wrong, with a button for what can be done about it. */

export class Notice {
  /** @param {HTMLElement} node */
  constructor(node) {
    this.node = node;
    this.text = /** @type {HTMLElement} */ (node.querySelector('span'));
    this.button = /** @type {HTMLButtonElement} */ (node.querySelector('button'));
    this.act = () => {};
    this.found = () => {};
    this.button.addEventListener('click', () => {
      this.clear();
      this.act();
    });
  }

  /** @param {string} text @param {{label: string, act: () => void}} [action] @param {string} [then] what is said when it works again; empty: nothing any more */
  say(text, action, then) {
    this.text.textContent = text;
    this.button.hidden = !action;
    this.button.textContent = action?.label || '';
    this.act = action?.act || (() => {});
    this.found = () => {
      if (then) this.text.textContent = then;
      else if (then === '') this.clear();
    };
    this.node.hidden = false;
  }

  clear() {
    this.node.hidden = true;
  }
}

/** The page's own. */
export const notice = new Notice(/** @type {HTMLElement} */ (document.getElementById('notice')));
