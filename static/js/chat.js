// @ts-check
/**
 * The chat page: joins input, conversation, contexts and warm state to the server. The server holds the conversation;
 * the address names it (`?session=`), so a reload, the back button and a lost connection all lead to the same place.
 */
import { call, Problem, send, serverNow } from './api.js';
import { Composer } from './composer.js';
import { Contexts } from './contexts.js';
import { Conversation } from './conversation.js';
import { Source } from './source.js';
import { follow, pause, thoughtFor, turnOf } from './turn.js';
import { Warmth } from './warm.js';

/** @typedef {import('./turn.js').Turn} Turn */

const STOP_AGAIN_MS = 500;

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {Record<string, any>} told a turn as the session lists it @returns {Turn} */
function turnFrom({ turn, number, state, question, html: blocks, thinking, verdict, problem, stopped, asked_at: asked }) {
  const thought = thoughtFor(verdict);
  if (state !== 'running') return turnOf({ id: turn, number, state, question, blocks, thinking, thought, verdict, problem, stopped });
  const age = Math.max(0, serverNow() - Date.parse(asked) || 0);
  return turnOf({ id: turn, number, question, since: performance.now() - age });
}

class Notice {
  /** @param {HTMLElement} node */
  constructor(node) {
    this.node = node;
    this.text = /** @type {HTMLElement} */ (node.querySelector('span'));
    this.button = /** @type {HTMLButtonElement} */ (node.querySelector('button'));
    this.act = () => {};
    this.passing = false;
    this.button.addEventListener('click', () => {
      this.clear();
      this.act();
    });
  }

  /** @param {string} text @param {{label: string, act: () => void}} [action] @param {boolean} [passing] until it works again */
  say(text, action, passing = false) {
    this.text.textContent = text;
    this.button.hidden = !action;
    this.button.textContent = action?.label || '';
    this.act = action?.act || (() => {});
    this.passing = passing;
    this.node.hidden = false;
  }

  clear() {
    this.node.hidden = true;
  }

  found() {
    if (this.passing) this.clear();
  }
}

class Chat {
  /** @type {string|null} */
  #session = null;
  /** @type {Promise<string>|null} */
  #opening = null;
  /** @type {Promise<void>} */
  #loading = Promise.resolve();
  /** @type {Turn|null} */
  #running = null;
  #stay = new AbortController();

  constructor() {
    const spoken = element('spoken');
    this.notice = new Notice(element('notice'));
    this.contexts = new Contexts(/** @type {HTMLSelectElement} */ (element('context')), () => this.fresh());
    this.conversation = new Conversation({ log: element('log'), hello: element('hello'), spoken }, (turn) => this.ask(turn.question));
    this.source = new Source(element('source'), element('log'), () => this.#session);
    this.warmth = new Warmth({ chip: element('chip'), spoken }, () => this.#open(), (problem) => this.#missed(problem));
    this.composer = new Composer(/** @type {HTMLFormElement} */ (element('composer')), {
      about: (trigger) => this.#running || this.warmth.trigger(trigger),
      send: (question) => this.ask(question),
      stop: () => this.stop(),
    });
    this.#listen();
    this.load();
  }

  #listen() {
    const { input } = this.composer;
    element('new').addEventListener('click', () => {
      this.fresh();
      input.focus();
    });
    for (const example of document.querySelectorAll('.examples button')) {
      example.addEventListener('click', () => {
        this.composer.value = example.textContent || '';
        input.focus();
      });
    }
    addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !event.isComposing && !this.contexts.close() && !this.source.close()) this.stop();
    });
    addEventListener('popstate', () => location.hash || this.load());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && document.activeElement === input && !this.#running) this.warmth.trigger('visible');
    });
  }

  /** Leaves the conversation on the page; a turn that runs goes on without us. */
  #leave() {
    this.#stay.abort();
    this.source.close();
    this.#stay = new AbortController();
    this.#session = this.#opening = this.#running = null;
    this.composer.running(false);
    this.notice.clear();
    this.warmth.reset();
  }

  /** A new conversation over the picked context. */
  fresh() {
    this.#leave();
    this.conversation.replace([]);
    const address = `/?context=${encodeURIComponent(this.contexts.value)}`;
    if (location.search.includes('session=')) history.pushState(null, '', address);
    else history.replaceState(null, '', address);
  }

  /** What the address names. */
  load() {
    const params = new URLSearchParams(location.search);
    const id = params.get('session');
    this.#leave();
    if (!id) {
      this.contexts.pick(params.get('context') || this.contexts.value);
      return this.conversation.replace([]);
    }
    this.#loading = this.#show(id, this.#stay.signal);
  }

  /** @param {string} id @param {AbortSignal} signal */
  async #show(id, signal) {
    try {
      const session = await call('GET', `/api/sessions/${encodeURIComponent(id)}?render=html`, undefined, signal);
      this.#session = session.session;
      this.contexts.pick(session.context, session.context_name);
      const turns = session.turns.map(turnFrom);
      this.conversation.replace(turns);
      this.warmth.show(session.warm, turns.length > 0);
      if (session.warm.state === 'warming') this.warmth.trigger('visible');
      const last = turns.at(-1);
      if (last?.state === 'running') this.#attend(last, null);
    } catch (error) {
      if (signal.aborted) return;
      const problem = Problem.from(error);
      if (!this.#missed(problem)) this.notice.say(problem.sentence, { label: 'Try again', act: () => this.load() });
    }
  }

  /** @param {Problem} problem @returns {boolean} whether it was that the conversation is no more */
  #missed(problem) {
    if (problem.code !== 'session_not_found') return false;
    this.fresh();
    this.notice.say('That conversation is gone. This is a new one.');
    return true;
  }

  /** @returns {Promise<string>} the session's id; the first to ask for it makes it */
  async #open() {
    await this.#loading;
    if (this.#session) return this.#session;
    const { signal } = this.#stay;
    this.#opening ??= call('POST', '/api/sessions', { context: this.contexts.value }, signal).then(({ session, warm }) => {
      this.#session = session;
      this.warmth.show(warm);
      history.replaceState(null, '', `/?session=${encodeURIComponent(session)}`);
      return session;
    });
    try {
      return await this.#opening;
    } finally {
      if (!signal.aborted) this.#opening = null;
    }
  }

  /** @param {string} question @param {boolean} [again] the answer to asking it before was lost */
  async ask(question, again = false) {
    if (this.#running) return;
    const { signal } = this.#stay;
    this.notice.clear();
    this.composer.lock(true);
    try {
      const response = await send('POST', `/api/sessions/${await this.#open()}/ask?render=html`, { question }, { signal });
      this.#accepted(turnOf({ id: response.headers.get('Turn-Id') || '', question }), response);
    } catch (error) {
      if (!signal.aborted) await this.#refused(Problem.from(error), question, again);
    } finally {
      this.composer.lock(false);
    }
  }

  /** @param {Turn} turn @param {Response|null} response */
  #accepted(turn, response) {
    if (this.composer.value.trim() === turn.question.trim()) this.composer.value = '';
    this.conversation.add(turn);
    this.#attend(turn, response);
    if (document.activeElement !== document.body && document.activeElement?.checkVisibility() === false) this.composer.input.focus();
  }

  /** @param {Problem} problem @param {string} question it stays in the input @param {boolean} again it was tried again */
  async #refused(problem, question, again) {
    if (this.#missed(problem)) return;
    if (problem.code === 'turn_running') {
      this.notice.say('An answer is still on its way here. Your question waits in the input.');
      if (this.#session) await this.#show(this.#session, this.#stay.signal);
      return;
    }
    const lost = problem.code === 'offline' || (!problem.code && problem.retryable);
    if (lost && !again) return this.#recover(question);
    const act = lost ? () => this.#recover(question) : () => this.ask(question);
    this.notice.say(problem.sentence, { label: 'Try again', act });
    if (!this.composer.value) this.composer.value = question;
  }

  /** @param {string} question of an ask whose answer never came: it may have been accepted all the same */
  async #recover(question) {
    const { signal } = this.#stay;
    try {
      const known = this.conversation.turns.length;
      const turns = this.#session ? (await call('GET', `/api/sessions/${this.#session}?render=html`, undefined, signal)).turns : [];
      if (turns.length > known && turns.at(-1).question === question) this.#accepted(turnFrom(turns.at(-1)), null);
      else await this.ask(question, true);
    } catch (error) {
      if (!signal.aborted) await this.#refused(Problem.from(error), question, true);
    }
  }

  /** @param {Turn} turn @param {Response|null} response */
  async #attend(turn, response) {
    const { signal } = this.#stay;
    this.#running = turn;
    this.composer.running(true);
    await follow(turn, response, {
      changed: () => this.conversation.changed(turn),
      lost: (problem, again) => this.notice.say(`${problem.sentence} Reconnecting…`, { label: 'Try now', act: again }, true),
      found: () => this.notice.found(),
      gone: () => this.load(),
    }, signal);
    if (signal.aborted) return;
    this.#running = null;
    this.composer.running(false);
    if (turn.state === 'failed' && !this.composer.value) this.composer.value = turn.question;
    const { warm } = await call('GET', `/api/sessions/${this.#session}`, undefined, signal).catch(() => ({}));
    if (warm) this.warmth.show(warm, true);
    if (this.composer.busy) this.warmth.trigger('keystroke');
  }

  async stop() {
    this.composer.input.focus();
    const turn = this.#running;
    if (!turn || this.composer.stopButton.disabled) return;
    const { signal } = this.#stay;
    this.composer.stopping(true);
    while (turn.state === 'running' && !signal.aborted) {
      try {
        return await call('POST', `/api/turns/${turn.id}/stop`, undefined, signal);
      } catch (error) {
        const problem = Problem.from(error);
        if (signal.aborted) return;
        if (!problem.retryable) {
          this.composer.stopping(false);
          return this.notice.say(problem.sentence);
        }
      }
      await pause(STOP_AGAIN_MS, signal);
    }
  }
}

new Chat();
