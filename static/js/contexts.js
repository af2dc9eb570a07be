// @ts-check
/**
 * The context picker and the facts behind it. The server rendered both; this shows the one that is picked, has another model
 * answer about it, and replaces or deletes one that is the reader's own.
 */
import { open } from './adding.js';
import { call, Problem, send } from './api.js';
import { confirmed } from './confirm.js';
import { recall, retain } from './kept.js';
import { size } from './numbers.js';

/** @typedef {Record<string, string|number|boolean|null>} Parameters as the API has them */
/** @typedef {{name: string, titles: {title: string, bytes: number}[], instructions: string|null, parameters: Parameters}} Inside */

/** @type {Map<string, Promise<Inside>>} */
const known = new Map();

/** @param {string} context @returns {Promise<Inside>} throws a `Problem`; then it is asked for again the next time */
export function insideOf(context) {
  const inside = known.get(context) ?? call('GET', `/api/contexts/${context}`);
  known.set(context, inside);
  inside.catch(() => known.delete(context));
  return inside;
}

/** @param {HTMLElement} node that opens document `number` when it is pressed @param {string} context @param {number} number @param {string} title */
export function opens(node, context, number, title) {
  Object.assign(node, { className: 'opens', title });
  Object.assign(node.dataset, { context, document: number });
}

const MODELS = 'headstart.models';

/** @param {HTMLElement} about a context @returns {string} what answers about it unless somebody chose */
const ownModel = (about) => about.querySelector('.model')?.textContent || '';

/** The models to choose from. @param {string} [tokens] that they are to read, of which some may hold fewer */
export function offered(tokens = '0') {
  const options = /** @type {NodeListOf<HTMLOptionElement>} */ (document.querySelectorAll('#models option'));
  return [...options].map(({ text, value, dataset }) => {
    const small = Number(dataset.holds) < Number(tokens);
    return { value, small, text: small ? `${value} (too small for this)` : text };
  });
}

export class Contexts {
  /** @type {Map<string, string>} by context, the model that was chosen for new conversations in place of its own */
  #models = new Map(recall('sessionStorage', MODELS));
  /** Those whose documents are on their way. @type {Set<HTMLElement>} */
  #listing = new Set();

  /**
   * @param {HTMLSelectElement} select
   * @param {{picked: () => void, other: () => boolean, begin: () => void}} on another context; another model, which answers
   *   later when there is a conversation already; and that one is to be begun now
   */
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
      about.addEventListener('focusout', ({ relatedTarget: to }) => {
        // It would lie over what has the focus then.
        if (to instanceof Element && !about.contains(to) && !to.closest('dialog, .source')) about.open = false;
      });
      const [anew, gone] = about.querySelectorAll('.own button');
      anew?.addEventListener('click', () => this.#replace(about, /** @type {HTMLElement} */ (anew)));
      gone?.addEventListener('click', () => this.#delete(about));
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

  /** Of the one that is picked. */
  get tokens() {
    return [...this.#abouts()].find(({ hidden }) => !hidden)?.dataset.tokens;
  }

  /** It may be one that was offered once. @returns {string|undefined} */
  get #chosen() {
    const model = this.#models.get(this.value);
    return offered().some(({ value }) => value === model) ? model : undefined;
  }

  /** What a new conversation is opened with. @returns {{context: string, model?: string}} */
  get chosen() {
    const model = this.#chosen;
    return model ? { context: this.value, model } : { context: this.value };
  }

  /** Says which model answers. @param {string} [model] of the conversation on the page; without it, of a new one */
  answeredBy(model = this.#chosen) {
    // Two may be the same but for their names.
    for (const about of this.#abouts()) {
      if (about.dataset.context !== this.value) continue;
      about.dataset.model = model ?? ownModel(about);
      /** @type {HTMLElement} */ (about.querySelector('summary span')).textContent = about.dataset.model === ownModel(about) ? '' : ` · ${model}`;
      if (about.open) this.#offer(about);
    }
  }

  /** The models to choose from. @param {HTMLElement} about of a context */
  #offer(about) {
    const known = about.querySelector('select');
    const select = known ?? document.createElement('select');
    const later = known ? /** @type {HTMLElement} */ (select.nextElementSibling) : document.createElement('span');
    const shown = about.dataset.model ?? ownModel(about);
    if (!known) {
      select.ariaLabel = 'The model that answers';
      for (const { text, value, small } of offered(about.dataset.tokens)) {
        const option = new Option(text, value);
        option.disabled = small;
        select.add(option);
      }
      const begin = document.createElement('button');
      Object.assign(begin, { type: 'button', textContent: 'Begin it' });
      begin.addEventListener('click', () => {
        this.close();
        this.on.begin();
      });
      later.setAttribute('role', 'status');
      select.addEventListener('change', () => {
        if (select.value === ownModel(about)) this.#models.delete(this.value);
        else this.#models.set(this.value, select.value);
        retain('sessionStorage', MODELS, this.#models);
        const waits = this.on.other() && select.value !== about.dataset.model;
        later.replaceChildren(...(waits ? [' from the next conversation on ', begin] : []));
      });
      const own = /** @type {HTMLElement} */ (about.querySelector('.model'));
      own.hidden = true;
      own.after(select, later);
    }
    if (![...select.options].some(({ value }) => value === shown)) {
      select.add(new Option(shown), 0);
      // A conversation may have one that is not offered; a context's own is.
      select.options[0].disabled = shown !== ownModel(about);
    }
    // What is being chosen stays when it is said again what answers, or only now that the sheet was opened.
    if (select.dataset.shown === shown) return;
    select.value = select.dataset.shown = shown;
    later.replaceChildren();
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
    for (const about of open) {
      if (about.contains(document.activeElement)) about.querySelector('summary')?.focus();
      about.open = false;
    }
    return open.length > 0;
  }

  /** @param {HTMLDetailsElement} about that something else is to take the place of @param {HTMLElement} button */
  async #replace(about, button) {
    const name = this.select.selectedOptions[0].textContent || '';
    try {
      const inside = await insideOf(about.dataset.context || '');
      const parameters = { ...inside.parameters, model: ownModel(about) };
      await open((adding) => adding.replace({ ...inside, name, parameters }), button);
    } catch (error) {
      /** @type {HTMLElement} */ (about.querySelector('.own span')).textContent = Problem.from(error).sentence;
    }
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
    if (!list || !context || list.childElementCount || this.#listing.has(about)) return;
    this.#listing.add(about);
    try {
      const { titles, instructions } = await insideOf(context);
      const items = titles.map(({ title, bytes }, number) => {
        const [item, button, weight] = ['li', 'button', 'span'].map((tag) => document.createElement(tag));
        opens(button, context, number, title);
        button.textContent = title;
        weight.textContent = size(bytes);
        item.append(button, ' ', weight);
        return item;
      });
      if (instructions) {
        const told = document.createElement('blockquote');
        told.textContent = instructions;
        list.before(told);
      }
      list.replaceChildren(...items);
    } catch (error) {
      list.textContent = Problem.from(error).sentence;
    } finally {
      this.#listing.delete(about);
    }
  }
}
