// @ts-check
/** The context picker and the facts behind it. The server rendered both; this shows the one that is picked. */
import { call, Problem } from './api.js';
import { size } from './numbers.js';

export class Contexts {
  /** @param {HTMLSelectElement} select @param {(context: string) => void} picked */
  constructor(select, picked) {
    this.select = select;
    select.addEventListener('change', () => {
      this.#show();
      picked(select.value);
    });
    for (const about of this.#abouts()) {
      about.addEventListener('toggle', () => about.open && this.#list(about));
      if (about.open) this.#list(about);
    }
    addEventListener('click', ({ target }) => this.close(target));
    this.#show();
  }

  get value() {
    return this.select.value;
  }

  /** @param {string} id @param {string} [name] of a context that the list does not have */
  pick(id, name) {
    if (![...this.select.options].some((option) => option.value === id)) {
      if (!name) return;
      this.select.add(new Option(name, id));
    }
    this.select.value = id;
    this.#show();
  }

  #abouts() {
    return /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll('details[data-context]'));
  }

  #show() {
    for (const node of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('[data-context]'))) {
      node.hidden = node.dataset.context !== this.select.value;
      if (node.hidden) node.removeAttribute('open');
    }
  }

  /** @param {EventTarget|null} [target] a click inside closes nothing @returns {boolean} whether something was open */
  close(target = null) {
    const open = [...this.#abouts()].filter((about) => about.open && !(target instanceof Node && about.contains(target)));
    for (const about of open) about.open = false;
    return open.length > 0;
  }

  /** @param {HTMLDetailsElement} about the documents' names are fetched when somebody looks */
  async #list(about) {
    const list = about.querySelector('.titles');
    if (!list || list.childElementCount) return;
    try {
      const { titles } = await call('GET', `/api/contexts/${about.dataset.context}`);
      for (const { title, bytes } of titles) {
        const item = document.createElement('li');
        const weight = document.createElement('span');
        weight.textContent = size(bytes);
        item.append(title, ' ', weight);
        list.append(item);
      }
    } catch (error) {
      list.textContent = Problem.from(error).sentence;
    }
  }
}
