// @ts-check
/**
 * The dialog in which something new to ask about is put together: files, folders, archives, addresses. It says what is taken
 * and what is left out, sends it, and opens a conversation over it that is warming already. What was chosen stays chosen
 * until it has arrived.
 */
import { call, Problem } from './api.js';
import { draftOf, keepDraft } from './drafts.js';
import { count, size } from './numbers.js';
import { sift, sourcesIn, sourcesOf } from './sources.js';

/** @typedef {import('./sources.js').Source} Source */
/** @typedef {import('./sources.js').LeftOut} LeftOut */
/** @typedef {{name: string, instructions: string, cites: boolean, urls: string, sources: Source[], leftOut: LeftOut[], ignored: number}} Chosen */

const MOST_SENT = 64_000_000;
// Of English and code, roughly. How many tokens a PDF has, or what an archive holds, its size does not say.
const BYTES_PER_TOKEN = 3;
// Unlike a host's name with its port.
const SCHEME = /^[a-z][a-z\d+.-]*:(?!\d)/i;
const NO_TEXT = /\.(pdf|zip)$/i;

/** @param {number} n @param {string} what */
const several = (n, what) => `${count(n)} ${what}${n === 1 ? '' : 's'}`;

/** @param {Source[]} sources */
const sum = (sources) => sources.reduce((bytes, { file }) => bytes + file.size, 0);

/** @param {Source[]} sources @returns {string} how much they are for a model, in two digits, since more would be made up */
function estimate(sources) {
  const texts = sources.filter(({ path }) => !NO_TEXT.test(path));
  const tokens = Number((sum(texts) / BYTES_PER_TOKEN).toPrecision(2));
  if (tokens < 1) return '';
  const without = texts.length < sources.length ? ', without PDFs and archives' : '';
  return ` · about ${several(tokens, 'token')} (an estimate by size${without})`;
}

/** @param {LeftOut[]} some @param {number} [more] files @returns {string} a folder's name ends with a slash */
function told(some, more = 0) {
  const folders = some.filter(({ name }) => name.endsWith('/')).length;
  const files = some.length - folders + more;
  return [files && several(files, 'file'), folders && several(folders, 'folder')].filter(Boolean).join(' and ');
}

/** @param {string} tag @param {string} [text] @param {string} [name] a class */
function node(tag, text = '', name = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = name;
  return made;
}

/**
 * @param {Source[]} sources @param {number} depth
 * @returns {[string, Source[]][]} files by their path, and those below so many folders together, by the path of the last
 */
function grouped(sources, depth) {
  /** @type {Map<string, Source[]>} */
  const groups = new Map();
  for (const source of sources) {
    const parts = source.path.split('/');
    const group = parts.length > depth ? `${parts.slice(0, depth).join('/')}/` : source.path;
    const known = groups.get(group);
    if (known) known.push(source);
    else groups.set(group, [source]);
  }
  return [...groups];
}

/** @param {string} name @returns {boolean} whether the reader has a context of that name, which another then takes the place of */
function isTaken(name) {
  const options = document.querySelectorAll('#context option');
  const abouts = [...document.querySelectorAll('details[data-context]')];
  return abouts.some((about, at) => about.querySelector('.own') && options[at]?.textContent === name);
}

export class Adding {
  /** @type {Source[]} */
  #sources = [];
  /** @type {LeftOut[]} */
  #leftOut = [];
  #ignored = 0;
  /** @type {XMLHttpRequest|null} */
  #sending = null;
  #looking = 0;
  #opening = new AbortController();
  /** @type {string|null} the conversation over what was added */
  #session = null;
  /**
   * @type {{name: string, kept: import('./contexts.js').Parameters, aside: Chosen}|null} what is to be replaced, what of it
   *   there are no fields for, and what was put together before
   */
  #before = null;
  #title = '';

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    const find = (/** @type {string} */ which) => /** @type {any} */ (dialog.querySelector(which));
    this.dialog = dialog;
    this.form = /** @type {HTMLFormElement} */ (find('form'));
    this.name = /** @type {HTMLInputElement} */ (find('[name=name]'));
    this.title = /** @type {HTMLElement} */ (find('h2'));
    this.#title = this.title.textContent || '';
    this.replacing = /** @type {HTMLElement} */ (find('#replacing'));
    this.cites = /** @type {HTMLInputElement} */ (find('[name=citations]'));
    this.instructions = /** @type {HTMLTextAreaElement} */ (find('[name=instructions]'));
    this.urls = /** @type {HTMLTextAreaElement} */ (find('[name=urls]'));
    this.list = /** @type {HTMLUListElement} */ (find('.chosen'));
    this.leftOut = /** @type {HTMLDetailsElement} */ (find('.left-out'));
    this.status = /** @type {HTMLElement} */ (find('[role=status]'));
    this.alert = /** @type {HTMLElement} */ (find('[role=alert]'));
    this.progress = /** @type {HTMLProgressElement} */ (find('progress'));
    this.addButton = /** @type {HTMLButtonElement} */ (find('[type=submit]'));
    this.cancelButton = /** @type {HTMLButtonElement} */ (find('.cancel'));
    for (const input of /** @type {HTMLInputElement[]} */ ([...dialog.querySelectorAll('[type=file]')])) {
      find(`[data-picks=${input.id}]`).addEventListener('click', () => input.click());
      input.addEventListener('change', async () => {
        const files = [...(input.files || [])];
        // The same may be chosen again, after it was taken out or has changed.
        input.value = '';
        await this.takeFiles(files);
      });
    }
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.#session) this.#ask();
      else this.send();
    });
    this.cancelButton.addEventListener('click', () => this.cancel());
    for (const field of [this.urls, this.name]) field.addEventListener('input', () => this.#show());
    dialog.addEventListener('close', () => {
      // Who comes back may want to add something else.
      if (!this.#before || this.#session) return;
      this.#put(this.#before.aside);
      this.#before = null;
      this.#complain('');
      this.#show();
    });
    // While it is sending, Escape ends that, and not the dialog.
    dialog.addEventListener('cancel', (event) => {
      if (!this.#sending) return;
      event.preventDefault();
      this.cancel();
    });
    this.#show();
  }

  /** What is added is to replace a context, and the model to be told the same. @param {import('./contexts.js').Inside} before */
  replace({ name, instructions, parameters: { citations, ...kept } }) {
    if (this.#sending || this.#session) return;
    const empty = { urls: '', sources: [], leftOut: [], ignored: 0 };
    const aside = this.#put({ ...empty, name, instructions: instructions || '', cites: Boolean(citations) });
    this.#before = { name, kept, aside };
    this.#complain('');
    this.#show();
  }

  /** @param {Chosen} chosen @returns {Chosen} what was there */
  #put({ name, instructions, cites, urls, sources, leftOut, ignored }) {
    const there = {
      name: this.name.value,
      instructions: this.instructions.value,
      cites: this.cites.checked,
      urls: this.urls.value,
      sources: this.#sources,
      leftOut: this.#leftOut,
      ignored: this.#ignored,
    };
    this.name.value = name;
    this.instructions.value = instructions;
    this.cites.checked = cites;
    this.urls.value = urls;
    this.#sources = sources;
    this.#leftOut = leftOut;
    this.#ignored = ignored;
    return there;
  }

  /** What is replaced, if it still has the name. */
  get #renewed() {
    return this.#before?.name === this.name.value.trim() ? this.#before : null;
  }

  /** @param {File[]} files */
  takeFiles(files) {
    return this.#take(async () => sourcesOf(files));
  }

  /** @param {(FileSystemEntry|File)[]} entries */
  takeEntries(entries) {
    return this.#take(() => sourcesIn(entries));
  }

  /** @param {() => Promise<Source[]>} look */
  async #take(look) {
    if (this.#sending || this.#session) return;
    this.#looking++;
    this.#complain('');
    this.#show();
    try {
      const brought = await look();
      const { taken, skipped, ignored } = await sift(brought);
      const known = new Map(this.#sources.map((source) => [source.path, source]));
      for (const source of taken) known.set(source.path, source);
      this.#sources = [...known.values()];
      const named = new Map(this.#leftOut.map((one) => [one.name, one]));
      for (const one of skipped) named.set(one.name, one);
      this.#leftOut = [...named.values()];
      this.#ignored += ignored;
      if (!taken.length) this.#complain(this.#nothing(brought.length, skipped, ignored));
    } catch (error) {
      this.#complain(error instanceof DOMException ? 'That could not be read. Choose it again.' : Problem.from(error).sentence);
    } finally {
      this.#looking--;
      this.#show();
    }
  }

  /** @param {number} brought @param {LeftOut[]} skipped @param {number} ignored */
  #nothing(brought, skipped, ignored) {
    if (!brought) return 'There is no file in that folder.';
    const reasons = new Set(skipped.map(({ reason }) => reason));
    if (skipped.length && reasons.size === 1) {
      const [reason] = reasons;
      if (skipped.length === 1) return `“${skipped[0].name}” is left out: ${reason}.`;
      return `None of that can be asked about: all of it, ${told(skipped)}, is left out (${reason}).`;
    }
    if (!skipped.length && ignored) return 'None of that can be asked about: .gitignore files leave all of it out.';
    return 'None of that can be asked about: nothing in it is text or PDF. Look below for why.';
  }

  get #addresses() {
    const given = this.urls.value.split(/\s+/).filter(Boolean);
    return given.map((address) => (SCHEME.test(address) ? address : `https://${address}`));
  }

  /** What it is called if nobody says. */
  get #usualName() {
    const [first] = this.#sources;
    let name = '';
    if (first) name = first.path.includes('/') ? first.path.split('/')[0] : first.path.replace(/(.)\.[^.]+$/, '$1');
    else if (URL.canParse(this.#addresses[0])) name = new URL(this.#addresses[0]).hostname;
    const taken = new Set([...document.querySelectorAll('#context option')].map((option) => option.textContent));
    let free = name;
    for (let n = 2; taken.has(free); n++) free = `${name} ${n}`;
    return free;
  }

  send() {
    const addresses = this.#addresses;
    const bytes = sum(this.#sources);
    if (this.#looking || this.#sending) return;
    if (!this.#sources.length && !addresses.length) return this.#complain('Choose a file or a folder first, or give an address.');
    if (bytes > MOST_SENT) {
      return this.#complain(`The files have ${size(bytes)}, and at most ${size(MOST_SENT)} can be sent. Take some out.`);
    }
    this.#complain('');
    const form = new FormData();
    form.append('name', this.name.value.trim() || this.#usualName || addresses[0]);
    if (this.cites.checked) form.append('citations', 'true');
    const instructions = this.instructions.value.trim();
    if (instructions) form.append('instructions', instructions);
    for (const [name, value] of Object.entries(this.#renewed?.kept ?? {})) {
      if (value !== null) form.append(name, String(value));
    }
    for (const address of addresses) form.append('urls', address);
    for (const { path, file } of this.#sources) form.append('files', file, path);
    this.#post(form, bytes, addresses.length > 0);
  }

  /** @param {FormData} form @param {number} bytes @param {boolean} fetches */
  #post(form, bytes, fetches) {
    const request = new XMLHttpRequest();
    this.#sending = request;
    const reading = fetches ? 'Fetching and reading…' : 'Reading…';
    request.upload.addEventListener('progress', ({ loaded, total }) => {
      this.progress.value = total ? loaded / total : 1;
      this.status.textContent = `Sending · ${size(Math.min(loaded, bytes))} of ${size(bytes)}`;
    });
    request.upload.addEventListener('load', () => {
      this.progress.removeAttribute('value');
      this.status.textContent = reading;
    });
    request.addEventListener('load', () => this.#answered(request));
    request.addEventListener('abort', () => this.#ended('Not sent. All that you chose is still here.'));
    request.addEventListener('error', () => {
      this.#ended('');
      this.#complain('That could not be sent: the server cannot be reached, or a file has changed since it was chosen.');
    });
    request.responseType = 'json';
    request.open('POST', '/api/contexts');
    request.send(form);
    this.progress.value = 0;
    this.#show();
    this.status.textContent = bytes ? 'Sending…' : reading;
    this.cancelButton.focus();
  }

  /** @param {string} said */
  #ended(said) {
    this.#sending = null;
    this.#show();
    this.status.textContent = said || this.#summary();
    this.addButton.focus();
  }

  /** @param {XMLHttpRequest} request */
  async #answered({ status, response }) {
    if (status !== 201) {
      this.#ended('');
      this.#complain(new Problem({ status, title: `The server answered ${status}.`, ...response }).sentence);
      return;
    }
    this.status.textContent = 'Opening a conversation…';
    const { signal } = (this.#opening = new AbortController());
    try {
      const { session } = await call('POST', '/api/sessions', { context: response.context }, signal);
      this.#session = session;
      // Who has just added it is about to ask: the model starts to read now. A refusal is the conversation's to show.
      await call('POST', `/api/sessions/${session}/warm`, { trigger: 'focus' }, signal).catch(() => null);
    } catch (error) {
      // It is added by now: the page begins a conversation over it when somebody turns to that.
      if (signal.aborted) return location.assign(`/?context=${encodeURIComponent(response.context)}#question`);
      this.#ended('');
      return this.#complain(`It was added, but no conversation could be opened. ${Problem.from(error).sentence}`);
    }
    this.#bring(response.context);
    this.#added(response);
  }

  /** A question that is written for a new conversation is for this one. @param {string} context */
  #bring(context) {
    const value = (/** @type {string} */ id) => /** @type {HTMLInputElement|null} */ (document.getElementById(id))?.value || '';
    const written = value('question');
    if (!written || written !== draftOf(value('context'))) return;
    keepDraft(value('context'), '');
    keepDraft(context, written);
  }

  /** @param {{documents: number, skipped: LeftOut[]}} added */
  #added({ documents, skipped }) {
    if (!skipped.length) return this.#ask();
    this.#leftOut = [...this.#leftOut, ...skipped];
    const out = skipped.length === 1 ? 'one file was' : `${count(skipped.length)} files were`;
    this.#ended(`Added ${several(documents, 'document')}; the model is reading. On a closer look, ${out} left out.`);
    this.leftOut.open = true;
  }

  #ask() {
    location.assign(`/?session=${encodeURIComponent(this.#session || '')}#question`);
  }

  cancel() {
    if (!this.#sending) return this.dialog.close();
    this.#sending.abort();
    this.#opening.abort();
  }

  /** @param {string} sentence empty when there is nothing to complain of */
  #complain(sentence) {
    this.alert.textContent = sentence;
    this.alert.hidden = !sentence;
  }

  #show() {
    const busy = this.#sending !== null;
    const fixed = busy || this.#session !== null;
    const replaces = isTaken(this.name.value.trim()) && !fixed;
    this.form.setAttribute('aria-busy', String(busy || this.#looking > 0));
    for (const part of /** @type {NodeListOf<HTMLElement>} */ (this.dialog.querySelectorAll('.choosing'))) part.inert = fixed;
    this.progress.hidden = !busy;
    this.status.textContent = this.#looking ? 'Looking through it…' : this.#summary();
    this.name.placeholder = this.#usualName || 'A name';
    this.addButton.hidden = busy;
    this.addButton.textContent = this.#session ? 'Ask about it' : replaces ? 'Replace' : 'Add';
    this.title.textContent = this.#renewed ? `Replace “${this.#renewed.name}”` : this.#title;
    this.replacing.hidden = !replaces;
    // What is hidden would be read out all the same.
    if (replaces) this.name.setAttribute('aria-describedby', this.replacing.id);
    else this.name.removeAttribute('aria-describedby');
    this.addButton.disabled = this.#looking > 0;
    this.cancelButton.hidden = this.#session !== null;
    this.#showChosen(fixed);
    this.#showLeftOut();
  }

  #summary() {
    if (!this.#sources.length) return '';
    return `${several(this.#sources.length, 'file')} · ${size(sum(this.#sources))}${estimate(this.#sources)}`;
  }

  /** @param {boolean} fixed */
  #showChosen(fixed) {
    const chosen = grouped(this.#sources, 1);
    const items = chosen.flatMap(([group, sources]) => {
      const inside = group.endsWith('/') ? grouped(sources, 2).filter(([name]) => name.endsWith('/')) : [];
      // What weighs most is what there may be a reason to take out.
      inside.sort(([, one], [, other]) => sum(other) - sum(one));
      return [this.#item(group, sources, fixed), ...inside.map((one) => this.#item(...one, fixed))];
    });
    this.list.replaceChildren(...items);
    this.list.hidden = !chosen.length;
  }

  /** @param {string} group @param {Source[]} sources @param {boolean} fixed */
  #item(group, sources, fixed) {
    const item = node('li');
    item.classList.toggle('inside', group.split('/').length > 2);
    const bytes = size(sum(sources));
    const weight = group.endsWith('/') ? `${several(sources.length, 'file')} · ${bytes}` : bytes;
    item.append(node('span', group, 'path'), node('span', weight, 'weight'));
    if (fixed) return item;
    const out = /** @type {HTMLButtonElement} */ (node('button', '×'));
    out.type = 'button';
    out.setAttribute('aria-label', `Take out ${group}`);
    out.addEventListener('click', () => {
      const gone = new Set(sources);
      const at = [...this.list.children].indexOf(item);
      this.#sources = this.#sources.filter((source) => !gone.has(source));
      this.#show();
      // Where it was, so that the next press takes out what comes next, and not the folder that it was in.
      const left = this.list.querySelectorAll('button');
      /** @type {HTMLElement|null} */ (left[Math.min(at, left.length - 1)] || this.dialog.querySelector('[data-picks]'))?.focus();
    });
    item.append(out);
    return item;
  }

  #showLeftOut() {
    const summary = /** @type {HTMLElement} */ (this.leftOut.querySelector('summary'));
    const list = /** @type {HTMLElement} */ (this.leftOut.querySelector('ul'));
    this.leftOut.hidden = !this.#leftOut.length && !this.#ignored;
    summary.textContent = `Left out: ${told(this.#leftOut, this.#ignored)}`;
    const items = this.#leftOut.map(({ name, reason }) => {
      const item = node('li');
      item.append(node('span', name, 'path'), node('span', reason, 'weight'));
      return item;
    });
    if (this.#ignored) items.push(node('li', `${several(this.#ignored, 'file')}, by .gitignore`));
    list.replaceChildren(...items);
  }
}
