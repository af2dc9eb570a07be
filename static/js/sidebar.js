// @ts-check
/**
 * The list of conversations: found, opened, pinned, renamed, exported, deleted. One row for a conversation with all its branches,
 * of which it leads to the one that is on the page, or else to the one that was asked last. A column where there is room, a
 * drawer where there is not.
 */
import { call, Problem } from './api.js';
import { cover, uncover } from './back.js';
import { confirmed } from './confirm.js';
import { part } from './conversation.js';
import { recall, retain } from './kept.js';
import { aged, several } from './numbers.js';
import { onlyTouch, openMenu, stepThrough } from './shortcuts.js';

/** @typedef {{session: string, title: string, conversation: string, context_name: string, asked_at: string, running: boolean, branches: number, match: string|null, match_turn: number|null}} Listed */

const ROOMY = matchMedia('(min-width: 72rem)');
/** Where a source that is looked at takes the list's place. */
const TIGHT = matchMedia('(min-width: 72rem) and (max-width: 97.99rem)');
const COMPLAINED_MS = 10_000;
const SEARCH_AFTER_MS = 200;
const LOOK_AGAIN_MS = 3000;
const UNREAD = 'headstart.unread';
const MOST_UNREAD = 100;
const A_YEAR_S = 31_536_000;

/** What the style sheets go by: how the column was left, and how the drawer. */
const state = document.documentElement.dataset;

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** What finds `words` as the server does: whatever their case, and what space is between them. @param {string} words */
const finder = (words) =>
  new RegExp(`(${words.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&').split(/\s+/).join('\\s+')})`, 'iu');

/** @param {string} text @param {RegExp|null} wanted */
const marked = (text, wanted) =>
  wanted ? text.split(wanted).map((piece, at) => (at % 2 ? part('', 'mark', piece) : piece)) : [text];

/**
 * The sessions with an answer that ran on without its reader, until they are opened: kept in the browser, for all its tabs.
 * @param {(sessions: Set<string>) => void} change
 */
function unread(change) {
  const sessions = new Set(recall('localStorage', UNREAD));
  change(sessions);
  retain('localStorage', UNREAD, [...sessions].slice(-MOST_UNREAD));
  return sessions;
}

export class Sidebar {
  #round = 0;
  #typing = 0;
  #looking = 0;
  /** @type {string|null} */
  #next = null;
  /** @type {Listed|null} */
  #chosen = null;
  /** @type {RegExp|null} what the list was searched for */
  #wanted = null;
  /** The conversations that stand at its head. */
  #pinned = new Set();
  #renaming = false;
  #sharing = false;
  /** What the last thing that was chosen here came to, when that was nothing. */
  #complaint = '';
  #back = () => this.close();

  /** @param {{current: () => string|null, room: () => void, go: (session: string, found?: number) => void, gone: () => void, erased: (conversation: string) => void, renamed: (title: string) => void}} chat */
  constructor(chat) {
    this.chat = chat;
    this.node = element('sidebar');
    this.toggle = element('toggle-sidebar');
    this.search = /** @type {HTMLInputElement} */ (element('search'));
    this.list = element('conversations');
    this.said = element('conversations-said');
    this.more = element('more-conversations');
    this.menu = element('conversation-menu');
    this.#listen();
    this.#settle();
    this.load();
  }

  #listen() {
    this.toggle.addEventListener('click', () => (this.isOpen ? this.close() : this.open()));
    element('close-sidebar').addEventListener('click', () => this.close());
    element('veil').addEventListener('click', () => this.close());
    ROOMY.addEventListener('change', () => {
      // What was a column is no drawer that lies over the page all at once.
      delete state.drawer;
      this.#settle();
      if (!this.list.childElementCount) this.load();
    });
    new MutationObserver(() => this.#settle()).observe(element('source'), { attributeFilter: ['hidden'] });
    TIGHT.addEventListener('change', () => this.#settle());
    this.search.addEventListener('input', () => {
      this.#complaint = '';
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.load(), SEARCH_AFTER_MS);
    });
    this.more.addEventListener('click', () => this.load(this.#next || ''));
    this.node.addEventListener('keydown', (event) => this.#key(event));
    const choices = /** @type {Record<string, () => void>} */ ({
      pin: () => this.#pin(), rename: () => this.#rename(), share: () => this.#share(), delete: () => this.#confirm(),
    });
    for (const button of this.menu.querySelectorAll('button')) {
      button.addEventListener('click', () => {
        this.menu.hidePopover();
        choices[button.dataset.does || '']?.();
      });
    }
    this.menu.addEventListener('toggle', (event) => {
      if (/** @type {ToggleEvent} */ (event).newState === 'closed') this.menu.removeAttribute('style');
    });
    stepThrough(this.menu);
    for (const link of this.menu.querySelectorAll('a')) link.addEventListener('click', () => this.menu.hidePopover());
  }

  /** Where there is room it is, unless it was closed; else not, unless it was opened. */
  get isOpen() {
    const room = TIGHT.matches ? element('source').hidden : ROOMY.matches;
    return ROOMY.matches ? room && state.sidebar !== 'closed' : state.drawer === 'open';
  }

  open() {
    if (TIGHT.matches) this.chat.room();
    this.#turn('open');
    this.load();
    this.#begin();
  }

  /** A screen's own keyboard would lie over what the list is opened for. */
  #begin() {
    (onlyTouch() ? element('close-sidebar') : this.search).focus();
  }

  close() {
    const held = document.activeElement === document.body || this.node.contains(document.activeElement);
    this.#turn('closed');
    if (held) this.toggle.focus();
  }

  /** @returns {boolean} whether it lay over the page until now */
  uncover() {
    const drawer = this.isOpen && !ROOMY.matches;
    if (drawer) this.close();
    return drawer;
  }

  /** A drawer that was used says nothing about the column. @param {'open'|'closed'} to */
  #turn(to) {
    if (ROOMY.matches) keep(to);
    state[ROOMY.matches ? 'sidebar' : 'drawer'] = to;
    this.#settle();
  }

  /** A drawer lies over the page, which then cannot be reached. */
  #settle() {
    const drawer = this.isOpen && !ROOMY.matches;
    for (const behind of document.querySelectorAll('body > .top, body > main')) behind.toggleAttribute('inert', drawer);
    this.toggle.ariaExpanded = String(this.isOpen);
    element('veil').hidden = !drawer;
    (drawer ? cover : uncover)(this.#back);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === 'Escape' && !(event.target instanceof HTMLInputElement && event.target.closest('li'))) {
      // A search that is left is no answer that is stopped.
      event.stopPropagation();
      if (!ROOMY.matches) this.close();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !(event.target instanceof HTMLElement)) return;
    const stops = [this.search, ...this.list.querySelectorAll('a')];
    const at = stops.indexOf(/** @type {any} */ (event.target));
    if (at < 0) return;
    event.preventDefault();
    /** @type {HTMLElement|undefined} */ (stops[at + step])?.focus();
  }

  /** @param {string} session whose answer runs on without its reader */
  left(session) {
    unread((sessions) => sessions.add(session));
  }

  /** @param {string} [cursor] where the list goes on */
  async load(cursor = '') {
    unread((sessions) => sessions.delete(this.chat.current() || ''));
    // Whoever types a title keeps the field; the list is loaded when that is done.
    if (!this.isOpen || this.#renaming) return;
    const round = ++this.#round;
    const words = this.search.value.trim().slice(0, 200);
    try {
      const { pinned = [], sessions, next } = await call('GET', `/api/sessions?${new URLSearchParams({ q: words, cursor })}`);
      if (round !== this.#round) return;
      this.#wanted = words ? finder(words) : null;
      this.#show(pinned, sessions, Boolean(cursor));
      this.#next = next;
      this.more.hidden = !next;
      this.said.textContent = this.#complaint || this.list.childElementCount || next ? this.#complaint : this.search.value ? 'Nothing has these words.' : 'What you ask will be listed here.';
    } catch (error) {
      if (round === this.#round) this.said.textContent = Problem.from(error).sentence;
    }
  }

  /** @param {Listed[]} pinned @param {Listed[]} sessions @param {boolean} more to what is shown */
  #show(pinned, sessions, more) {
    const held = document.activeElement?.closest?.('#conversations [data-conversation]')?.getAttribute('data-conversation');
    if (!more) {
      this.list.replaceChildren();
      // A search is told of no pins.
      if (!this.#wanted) this.#pinned = new Set(pinned.map(({ conversation }) => conversation));
      for (const listed of pinned) this.#group('Pinned').append(this.#row(listed));
    }
    for (const listed of sessions) {
      const known = this.#rowOf(listed.conversation);
      if (!known) this.#group(aged(listed.asked_at)[0]).append(this.#row(listed));
      else if (listed.session === this.chat.current()) known.replaceWith(this.#row({ ...listed, asked_at: known.dataset.asked || '' }));
    }
    this.#mark([...pinned, ...sessions]);
    if (held) this.#rowOf(held)?.querySelector('a')?.focus();
  }

  /** @param {string} age @returns {Element} what has the rows of this age, the last one that there is */
  #group(age) {
    const id = `asked-${age.replaceAll(' ', '-')}`;
    const known = this.list.lastElementChild;
    if (known?.getAttribute('aria-labelledby') === id) return known;
    const group = part('', 'ul');
    group.setAttribute('aria-labelledby', id);
    this.list.append(Object.assign(part('', 'h2', age), { id }), group);
    return group;
  }

  /** Says of each conversation whether one of its answers runs, or came while nobody looked. @param {Listed[]} sessions */
  #mark(sessions) {
    const current = sessions.find(({ session }) => session === this.chat.current())?.conversation;
    const left = unread((known) => {
      for (const { session, conversation, running } of sessions) {
        if (conversation === current) known.delete(session);
        else if (running) known.add(session);
      }
    });
    for (const conversation of new Set(sessions.map((one) => one.conversation))) {
      const row = this.#rowOf(conversation);
      const said = row?.querySelector('.state');
      if (!row || !said) continue;
      const own = sessions.filter((one) => one.conversation === conversation);
      row.dataset.state = own.some(({ running }) => running) ? 'running' : own.some(({ session }) => left.has(session)) ? 'unread' : '';
      said.textContent = { running: 'Being answered', unread: 'New answer' }[row.dataset.state] ?? '';
    }
    clearTimeout(this.#looking);
    if (sessions.some(({ session, running }) => running && left.has(session))) this.#lookLater();
  }

  #lookLater() {
    this.#looking = setTimeout(() => this.#look(), LOOK_AGAIN_MS);
  }

  /** Whether what runs elsewhere still does, while somebody sees it. */
  async #look() {
    const round = this.#round;
    const told = this.isOpen && !document.hidden ? await call('GET', '/api/sessions').catch(() => null) : null;
    if (round !== this.#round) return;
    if (told) this.#mark([...(told.pinned ?? []), ...told.sessions]);
    else this.#lookLater();
  }

  /** @param {string} conversation @returns {HTMLElement|null} */
  #rowOf(conversation) {
    return this.list.querySelector(`[data-conversation="${conversation}"]`);
  }

  /** @param {Listed} listed */
  #row(listed) {
    const item = part('', 'li');
    Object.assign(item.dataset, { conversation: listed.conversation, asked: listed.asked_at });
    const branches = listed.branches > 1 ? `${several(listed.branches, 'branch', 'branches')} · ` : '';
    const about = part('about-it', 'span', `${aged(listed.asked_at)[1]} · ${branches}`, ...marked(listed.context_name, this.#wanted));
    const link = /** @type {HTMLAnchorElement} */ (part('', 'a', part('title', 'span', ...marked(listed.title, this.#wanted)), part('state unseen', 'span')));
    if (listed.match) link.append(part('about-it', 'span', ...marked(listed.match, this.#wanted)));
    link.append(about);
    link.href = `/?session=${encodeURIComponent(listed.session)}`;
    if (listed.session === this.chat.current()) link.setAttribute('aria-current', 'page');
    link.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      if (!ROOMY.matches) this.close();
      this.chat.go(listed.session, listed.match_turn ?? undefined);
    });
    const menu = /** @type {HTMLButtonElement} */ (part('menu', 'button', '⋯'));
    menu.type = 'button';
    menu.ariaLabel = `Options: ${listed.title}`;
    menu.addEventListener('click', () => this.#choose(listed, menu));
    item.append(link, menu);
    return item;
  }

  /** @param {Listed} listed @param {HTMLElement} by */
  #choose(listed, by) {
    this.#chosen = listed;
    this.#complaint = this.said.textContent = '';
    for (const link of this.menu.querySelectorAll('a')) {
      link.href = `/api/sessions/${encodeURIComponent(listed.session)}/export?format=${link.dataset.format}`;
    }
    const [pin] = this.menu.querySelectorAll('button');
    pin.textContent = this.#pinned.has(listed.conversation) ? 'Unpin' : 'Pin';
    openMenu(this.menu, by);
  }

  async #pin() {
    const listed = this.#chosen;
    if (!listed) return;
    const { conversation, session } = listed;
    try {
      const { pinned } = await call('PATCH', `/api/sessions/${session}`, { pinned: !this.#pinned.has(conversation) });
      this.#pinned[pinned ? 'add' : 'delete'](conversation);
      element('spoken').textContent = pinned ? 'Pinned.' : 'Unpinned.';
    } catch (error) {
      this.#complain(error);
    }
    await this.load();
    this.#backTo(conversation);
  }

  /** It stands there for a while, also when the list is read again. @param {unknown} error */
  #complain(error) {
    const said = Problem.from(error).sentence;
    this.said.textContent = this.#complaint = said;
    setTimeout(() => { if (this.#complaint === said) this.#complaint = ''; }, COMPLAINED_MS);
  }

  /** Unless the reader has gone on. @param {string} conversation whose menu was used */
  #backTo(conversation) {
    const { activeElement } = document;
    if (activeElement !== document.body && !this.node.contains(activeElement)) return;
    (this.#rowOf(conversation)?.querySelector('a') ?? this.search).focus();
  }

  async #share() {
    const listed = this.#chosen;
    if (!listed || this.#sharing) return;
    this.#sharing = true;
    try {
      const { share } = await import('./share.js');
      await share(listed);
      this.#backTo(listed.conversation);
    } catch (error) {
      this.#complain(error);
    } finally {
      this.#sharing = false;
    }
  }

  #rename() {
    const listed = this.#chosen;
    // The row that the menu was opened from may be gone.
    const row = listed && this.#rowOf(listed.conversation);
    if (!row) return;
    this.#renaming = true;
    // What is on its way comes too late.
    this.#round++;
    const field = document.createElement('input');
    Object.assign(field, { value: listed.title, maxLength: 200, ariaLabel: 'Title' });
    let ended = false;
    const end = async (/** @type {boolean} */ keep) => {
      if (ended) return;
      ended = true;
      const title = field.value.trim();
      if (keep && title && title !== listed.title) {
        await call('PATCH', `/api/sessions/${listed.session}`, { title }).catch((error) => {
          this.#complain(error);
        });
      }
      field.replaceWith(...kept);
      this.#renaming = false;
      await this.load();
      const link = /** @type {HTMLElement|null} */ (this.#rowOf(listed.conversation)?.querySelector('a'));
      if (link?.ariaCurrent) this.chat.renamed(link.querySelector('.title')?.textContent || '');
      this.#backTo(listed.conversation);
    };
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' || event.key === 'Escape') {
        event.preventDefault();
        event.stopPropagation();
        end(event.key === 'Enter');
      }
    });
    field.addEventListener('blur', () => end(true));
    const kept = [...row.childNodes];
    row.replaceChildren(field);
    field.select();
    field.focus();
  }

  async #confirm() {
    const count = this.#chosen?.branches ?? 1;
    const too = count > 1 ? `, with its ${count} branches` : '';
    const warning = `“${this.#chosen?.title}” will be erased${too}. That cannot be undone.`;
    if (await confirmed('Delete this conversation?', warning)) await this.#delete();
  }

  async #delete() {
    const listed = this.#chosen;
    if (!listed) return;
    try {
      const response = await fetch(`/api/sessions/${listed.session}?branches=true`, { method: 'DELETE' });
      if (!response.ok && response.status !== 404) throw new Error();
    } catch {
      this.said.textContent = 'It could not be deleted. Try again.';
      return;
    }
    const current = this.list.querySelector(`[data-conversation="${listed.conversation}"] [aria-current]`);
    if (current) this.chat.gone();
    this.chat.erased(listed.conversation);
    await this.load();
    if (document.activeElement === document.body || this.node.contains(document.activeElement)) this.#begin();
  }
}

/** For the server, so that the next page's first frame has it as it was left. @param {'open'|'closed'} state */
function keep(state) {
  document.cookie = `headstart_sidebar=${state}; path=/; max-age=${A_YEAR_S}; samesite=lax`;
}
