// @ts-check
/**
 * The context picker and the facts behind it. The server rendered both; this shows the one that is picked, has another model
 * answer about it, and deletes one that is the reader's own.
 */
import { call, Problem, send } from './api.js';
import { confirmed } from './confirm.js';
import { size } from './numbers.js';

/** @typedef {{title: string, bytes: number}} Title */

/** @type {Map<string, Promise<Title[]>>} */
const known = new Map();

/** @param {string} context @returns {Promise<Title[]>} throws a `Problem`; then they are asked for again the next time */
export function titlesOf(context) {
  const titles = known.get(context) ?? call('GET', `/api/contexts/${context}`).then((told) => told.titles);
  known.set(context, titles);
  titles.catch(() => known.delete(context));
  return titles;
}

/** @param {HTMLElement} node that opens document `number` when it is pressed @param {string} context @param {number} number @param {string} title */
export function opens(node, context, number, title) {
  Object.assign(node, { className: 'opens', title });
  Object.assign(node.dataset, { context, document: number });
}

export class Contexts {
  /** @type {Map<string, string>} by context, the model that answers in place of its own */
  #models = new Map();

  /** @param {HTMLSelectElement} select @param {{picked: () => void, other: () => void}} on another context, or another model for it */
  constructor(select, on) {
    this.select = select;
    this.on = on;
    select.addEventListener('change', () => {
      this.#show();
      on.picked();
    });
    for (const about of this.#abouts()) {
      about.addEventListener('toggle', () => about.open && this.#list(about));
      if (about.open) this.#list(about);
      about.querySelector('.own button')?.addEventListener('click', () => this.#delete(about));
    }
    addEventListener('click', ({ target }) => {
      // What a dialog asks, it asks over a sheet that stays, and what is read at the side was opened from it.
      if (!(target instanceof Element && target.closest('dialog, .source'))) this.close(target);
    });
    this.#show();
  }

  get value() {
    return this.select.value;
  }

  /** What a new conversation is opened with. @returns {{context: string, model?: string}} */
  get chosen() {
    const model = this.#models.get(this.value);
    return model ? { context: this.value, model } : { context: this.value };
  }

  /** Has `model` answer about the picked context: the conversation on the page, and each new one. @param {string} model */
  answerBy(model) {
    const about = this.#abouts()[this.select.selectedIndex];
    // A conversation can be about something that the list does not have any more.
    if (!about) return;
    const own = about.querySelector('.model')?.textContent;
    if (model === own) this.#models.delete(this.value);
    else this.#models.set(this.value, model);
    this.#offer(about);
    const said = /** @type {HTMLElement} */ (about.querySelector('summary span'));
    said.textContent = model === own ? '' : ` · ${model}`;
  }

  /** The models to choose from. @param {HTMLElement} about of a context */
  #offer(about) {
    const own = /** @type {HTMLElement} */ (about.querySelector('.model'));
    const chosen = this.#models.get(about.dataset.context || '') ?? own.textContent ?? '';
    let select = about.querySelector('select');
    if (!select) {
      select = document.createElement('select');
      select.ariaLabel = 'The model that answers';
      for (const { value } of /** @type {NodeListOf<HTMLOptionElement>} */ (document.querySelectorAll('#models option'))) select.add(new Option(value));
      select.addEventListener('change', () => {
        this.answerBy(/** @type {HTMLSelectElement} */ (select).value);
        this.on.other();
      });
      own.hidden = true;
      own.after(select);
    }
    for (const model of [own.textContent || '', chosen]) {
      if (![...select.options].some((option) => option.value === model)) select.add(new Option(model), 0);
    }
    select.value = chosen;
  }

  /** @param {string} id @param {string} [name] of a context that the list does not have */
  pick(id, name) {
    if (![...this.select.options].some((option) => option.value === id)) {
      if (!name) return;
      this.select.add(new Option(name, id));
    }
    // Two may be the same but for their names.
    if (this.select.value !== id) this.select.value = id;
    this.#show();
  }

  #abouts() {
    return /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll('details[data-context]'));
  }

  #show() {
    for (const kind of ['details', 'h2']) {
      const nodes = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`${kind}[data-context]`));
      nodes.forEach((node, at) => {
        node.hidden = at !== this.select.selectedIndex;
        if (node.hidden) node.removeAttribute('open');
      });
    }
  }

  /** @param {EventTarget|null} [target] a click inside closes nothing @returns {boolean} whether something was open */
  close(target = null) {
    const open = [...this.#abouts()].filter((about) => about.open && !(target instanceof Node && about.contains(target)));
    for (const about of open) about.open = false;
    return open.length > 0;
  }

  /** @param {HTMLDetailsElement} about */
  async #delete(about) {
    const name = this.select.selectedOptions[0].textContent || '';
    // Two may be the same but for their names: then the other has all that was asked.
    const kept = [...this.select.options].find((option) => option.value === this.value && !option.selected)?.textContent;
    const after = kept
      ? `“${kept}” has the same documents: conversations about them go on.`
      : 'Conversations about it stay to be read, but nothing more can be asked in them.';
    const warning = `“${name}” will be erased. ${after} That cannot be undone.`;
    if (!(await confirmed('Delete this context?', warning))) return;
    try {
      await send('DELETE', `/api/contexts/${about.dataset.context}?${new URLSearchParams({ name })}`);
    } catch (error) {
      const problem = Problem.from(error);
      if (problem.status !== 404) {
        /** @type {HTMLElement} */ (about.querySelector('.own span')).textContent = problem.sentence;
        return;
      }
    }
    // There may be none left, and then the page is another one: the server knows.
    location.assign('/');
  }

  /** @param {HTMLDetailsElement} about the documents' names are fetched when somebody looks */
  async #list(about) {
    this.#offer(about);
    const list = about.querySelector('.titles');
    const { context } = about.dataset;
    if (!list || !context || list.childElementCount) return;
    try {
      const titles = await titlesOf(context);
      const items = titles.map(({ title, bytes }, number) => {
        const [item, button, weight] = ['li', 'button', 'span'].map((tag) => document.createElement(tag));
        opens(button, context, number, title);
        button.textContent = title;
        weight.textContent = size(bytes);
        item.append(button, ' ', weight);
        return item;
      });
      list.replaceChildren(...items);
    } catch (error) {
      list.textContent = Problem.from(error).sentence;
    }
  }
}
