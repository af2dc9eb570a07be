// @ts-check
/**
 * The chat page: joins input, conversation, contexts and warm state to the server. The server holds the conversation;
 * the address names it (`?session=`), so a reload, the back button and a lost connection all lead to the same place.
 */
import { call, Problem } from './api.js';
import { visit } from './back.js';
import { keep } from './clocks.js';
import { Composer } from './composer.js';
import { Contexts, offered } from './contexts.js';
import { Conversation } from './conversation.js';
import { keepDraft } from './drafts.js';
import { Keys } from './keys.js';
import { branchOff, Lanes, withoutHeadstart } from './lanes.js';
import { Notice, notice } from './notice.js';
import { count } from './numbers.js';
import { listenForKeys } from './shortcuts.js';
import { Sidebar } from './sidebar.js';
import { Source } from './source.js';
import { offerThemes } from './theme.js';
import { ask, end, follow, standing, turnFrom, turnOf } from './turn.js';
import { Together } from './together.js';
import { Warmth } from './warm.js';

/** @typedef {import('./turn.js').Turn} Turn */

const TITLE_CHARS = 80;

const NAMELESS = 'Headstart';

/** What is said when it works again. @param {Problem} problem */
const afterwards = ({ code }) => (code === 'offline' ? 'The server is back.' : undefined);

/** @param {string} id */
const element = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} title the conversation's; none before its first question */
function entitle(title) {
  document.title = title ? `${title} · Headstart` : NAMELESS;
  element('title').textContent = title || 'Chat';
}

class Chat {
  /** @type {string|null} */
  #session = null;
  /** What the session has in common with its branches. */
  #family = '';
  /** The session's. */
  #model = '';
  /** @type {Promise<string>|null} */
  #opening = null;
  /** @type {Promise<void>} */
  #loading = Promise.resolve();
  /** @type {Turn|null} */
  #running = null;
  #stay = new AbortController();
  #branching = false;
  /** Tells this browser's other windows in which conversation something was asked. */
  #asked = new BroadcastChannel('headstart.asked');
  #keys = new Keys();
  /** @type {Promise<import('./quoting.js').Quoting|null>|null} */
  #quoting = null;
  /** What is on its way to be asked and stands nowhere: who leaves before that has it in the input. @type {Set<string>} */
  #carried = new Set();
  /** Why the conversation that the address names could not be shown. */
  #unshown = Problem.from(null);
  /** The session that was made here last, and how many in a row were gone before anything was asked. */
  #made = '';
  #unmade = 0;
  /** When the question was begun, in `performance.now()`'s milliseconds; 0 before. */
  #typing = 0;

  constructor() {
    const spoken = element('spoken');
    this.notice = notice;
    this.limit = new Notice(element('too-long'));
    this.contexts = new Contexts(/** @type {HTMLSelectElement} */ (element('context')), {
      picked: () => this.fresh(), other: () => this.#otherModel(),
      begin: () => { this.fresh(true); this.composer.input.focus(); },
    });
    const whole = (/** @type {HTMLElement} */ answer) => {
      const { value: context } = this.contexts;
      import('./naming.js').then(({ lead }) => lead(answer, context), () => {});
    };
    this.conversation = new Conversation({ log: element('log'), hello: element('hello'), down: element('down') }, {
      again: (turn) => { if (!this.composer.locked) this.ask(turn.question); }, edit: (turn, question) => this.askInstead(turn, question),
      other: offered().length > 1 ? (turn, by) => this.#askOther(turn, by) : undefined,
      go: (session, from) => this.go(session, this.conversation.placeOf(from), true), whole,
      refused: (problem) => this.notice.say(problem.sentence),
    });
    this.source = new Source(element('source'), () => this.#session);
    this.warmth = new Warmth({ chip: element('chip'), progress: /** @type {HTMLProgressElement} */ (element('reading')), spoken, input: element('question') }, () => this.#open(), (problem) => this.#missed(problem));
    this.composer = new Composer(/** @type {HTMLFormElement} */ (element('composer')), {
      about: (trigger) => this.#turnedTo(trigger),
      send: (question) => this.askTogether(question),
      stop: () => this.stop(),
      held: (held) => this.warmth.hold(held),
      long: (on) => this.#tooLong(on),
    });
    this.together = new Together(this.composer);
    document.addEventListener('selectionchange', () => { if (!getSelection()?.isCollapsed) this.#quotes(); });
    this.lanes = new Lanes({ go: (session) => this.go(session, undefined, true), changed: () => this.#settle(), whole, accepted: (question) => this.#carried.delete(question) });
    this.sidebar = new Sidebar({ current: () => this.#session, room: () => void this.source.close(), go: (session, found) => this.go(session, found ? { at: found } : undefined), gone: () => this.fresh(), erased: (conversation) => keepDraft(conversation, ''), renamed: entitle });
    offerThemes();
    this.#listen();
    this.load();
    this.#begin();
    if (document.activeElement === this.composer.input) this.#turnedTo(this.composer.value ? 'keystroke' : 'focus');
  }

  /** Who has added something is about to ask. */
  #begin() {
    if (location.hash !== '#question') return;
    history.replaceState(history.state, '', location.pathname + location.search);
    if (document.activeElement === document.body) this.composer.focus();
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
      const above = document.querySelector('dialog[open], :popover-open');
      if (event.key !== 'Escape' || event.isComposing || above) return;
      // What the reader is at closes first.
      const open = this.source.node.contains(document.activeElement) ? [this.source, this.contexts] : [this.contexts, this.source];
      if (!this.sidebar.uncover() && !open.some((one) => one.close()) && !this.composer.takeBack()) this.stop();
    });
    listenForKeys({
      fresh: () => element('new').click(),
      sidebar: () => this.sidebar.toggle.click(),
      search: () => this.sidebar.open(),
      copy: () => this.conversation.copy(),
      focus: () => input.focus(),
      edit: () => this.conversation.last?.edit(),
      again: () => this.conversation.last?.askAgain(),
      another: () => this.together.another.click(),
      quote: () => this.#quotes().then((quoting) => quoting?.now()),
    });
    // What was pressed goes with the notice.
    this.notice.button.addEventListener('click', () => this.composer.focus());
    addEventListener('reached', () => {
      this.notice.found();
      this.warmth.back();
      this.sidebar.load();
    });
    addEventListener('online', () => this.sidebar.load());
    addEventListener('popstate', () => location.hash || this.load());
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) return;
      if (document.activeElement === input && !this.#running) this.warmth.trigger('visible');
      this.#learn();
    });
    this.#asked.addEventListener('message', ({ data }) => {
      if (data === this.#session && !document.hidden) this.#learn();
    });
  }

  /** Loaded when something is selected. @returns {Promise<import('./quoting.js').Quoting|null>} null while it cannot be */
  #quotes() {
    const quote = (/** @type {string} */ words) => {
      // There it lies over the input.
      if (!matchMedia('(min-width: 64rem)').matches) this.source.close();
      this.composer.quote(words);
    };
    this.#quoting ??= import('./quoting.js').then(({ Quoting }) => new Quoting(element('quote'), quote)).catch(() => (this.#quoting = null));
    return this.#quoting;
  }

  /** @param {boolean} on whether what is in the input is too long for a question; it may be a document */
  #tooLong(on) {
    if (!on) return this.limit.clear();
    const input = /** @type {HTMLTextAreaElement} */ (element('question'));
    const act = () => {
      this.#tooLong(true);
      dispatchEvent(new CustomEvent('brought', { detail: [new File([input.value], 'pasted.txt', { type: 'text/plain' })] }));
    };
    const said = `A question has at most ${count(Number(input.dataset.most))} characters, and this is longer.`;
    this.limit.say(said, { label: 'Add it as a document instead', act });
  }

  /** @param {'focus'|'keystroke'} trigger */
  #turnedTo(trigger) {
    if (trigger === 'keystroke') this.#typing ||= performance.now();
    if (!this.#running) this.warmth.trigger(trigger);
  }

  /** @param {string} session @param {import('./conversation.js').Place} [place] where the reader stays @param {boolean} [branch] of this */
  go(session, place, branch) {
    visit(`/?session=${encodeURIComponent(session)}`, true);
    this.load(place, branch);
    if (!place) this.composer.focus();
  }

  /** Leaves the conversation on the page; a turn that runs goes on without us. */
  #leave() {
    if (this.#running && this.#session) this.sidebar.left(this.#session);
    this.source.close();
    this.#drop();
    this.composer.takeBack();
    // They were to be asked here.
    const edited = /** @type {HTMLTextAreaElement[]} */ ([...document.querySelectorAll('.editing textarea')]);
    const written = edited.filter(({ value, defaultValue }) => value.trim() && value !== defaultValue).map(({ value }) => value);
    for (const question of [...written, ...this.#carried, ...this.together.take().questions]) this.composer.add(question);
    this.#carried.clear();
    this.composer.running(false, false);
    this.notice.clear();
  }

  /** Is in no session any more, and waits for none. */
  #drop() {
    this.#stay.abort();
    this.#stay = new AbortController();
    this.#session = this.#opening = this.#running = null;
    this.warmth.reset();
  }

  /** A new conversation over the picked context. @param {boolean} [along] what is written goes along */
  fresh(along) {
    this.#leave();
    entitle('');
    this.contexts.answeredBy();
    this.conversation.replace([]);
    this.composer.turnTo(this.contexts.value, along);
    this.sidebar.load();
    visit(`/?context=${encodeURIComponent(this.contexts.value)}`, location.search.includes('session='));
  }

  /** Nothing of what was cached for one model is of use to another. @returns {boolean} whether the one on the page goes on */
  #otherModel() {
    if (this.conversation.turns.length) return true;
    this.#drop();
    visit(`/?context=${encodeURIComponent(this.contexts.value)}`, location.search.includes('session='));
    this.contexts.answeredBy();
    return false;
  }

  /** What the address names. @param {import('./conversation.js').Place} [place] @param {boolean} [branch] of what is on the page */
  load(place, branch) {
    const params = new URLSearchParams(location.search);
    const id = params.get('session');
    const same = branch || id === this.#session;
    this.#leave();
    if (!id) {
      entitle('');
      this.contexts.pick(params.get('context') || this.contexts.value);
      this.contexts.answeredBy();
      this.composer.turnTo(this.contexts.value);
      return this.conversation.replace([]);
    }
    // What is written from now on is for it, wherever that is kept.
    if (!same) this.composer.turnTo(id);
    this.#loading = this.#show(id, this.#stay.signal, place);
  }

  /** @param {string} id @param {AbortSignal} signal @param {import('./conversation.js').Place} [place] */
  async #show(id, signal, place) {
    try {
      const session = await call('GET', `/api/sessions/${encodeURIComponent(id)}?render=html`, undefined, signal);
      this.#session = session.session;
      this.#family = session.conversation;
      this.#model = session.model;
      this.contexts.pick(session.context, session.context_name);
      this.contexts.answeredBy(session.model);
      const turns = standing(session.turns).map((/** @type {any} */ told) => turnFrom(session, told));
      entitle(session.title);
      this.conversation.replace(turns, place);
      // Nobody comes back to a conversation in which nothing was asked, but to a new one.
      this.composer.turnTo(turns.length || session.forked_from ? session.conversation : session.context, true);
      this.warmth.show(session.warm, turns.length > 0);
      this.sidebar.load();
      if (session.warm.state === 'warming') this.warmth.trigger('visible');
      const last = turns.at(-1);
      // It was left before it was known to be asked.
      if (last && last.state !== 'failed') this.#taken(last.question, this.#keys.forget(session.session, last.question));
      if (last?.state === 'running') this.#attend(last, null);
    } catch (error) {
      if (signal.aborted) return;
      const problem = Problem.from(error);
      if (this.#missed(problem)) return;
      this.#unshown = problem;
      if (this.conversation.turns.some(({ session }) => session !== id)) this.conversation.replace([]);
      this.notice.say(problem.sentence, { label: 'Try again', act: () => this.load() }, afterwards(problem));
    }
  }

  /** @param {Problem} problem @returns {boolean} whether it was that the conversation is no more */
  #missed(problem) {
    if (problem.code !== 'session_not_found') return false;
    // One that was just made can be gone with the server's data, but not the next one, too.
    if (this.#session && this.#session === this.#made && (this.#unmade += 1) > 1) {
      this.notice.say('The browser keeps no cookies of this page, and without them nothing can be asked. Allow them, and load the page again.');
      return true;
    }
    this.fresh(true);
    this.notice.say('That conversation is gone. This is a new one.');
    return true;
  }

  /** @returns {Promise<string>} the session's id; the first to ask for it makes it */
  async #open() {
    const loading = this.#loading;
    await loading;
    if (this.#session) return this.#session;
    const { signal } = this.#stay;
    const named = new URLSearchParams(location.search).get('session');
    if (named) {
      // It could not be fetched. What is meant for it goes nowhere else.
      if (this.#loading === loading) this.#loading = this.#show(named, signal);
      await this.#loading;
      if (this.#session) return this.#session;
      throw this.#unshown;
    }
    this.#opening ??= call('POST', '/api/sessions', this.contexts.chosen, signal).then(({ session, conversation, model, warm }) => {
      this.#session = session;
      this.#made = session;
      this.#family = conversation;
      this.#model = model;
      this.warmth.show(warm);
      visit(`/?session=${encodeURIComponent(session)}`, false);
      return session;
    });
    try {
      return await this.#opening;
    } finally {
      if (!signal.aborted) this.#opening = null;
    }
  }

  /** @param {string} question @returns {Promise<Turn|null>} */
  async ask(question) {
    if (this.#running || this.composer.locked) return null;
    const { signal } = this.#stay;
    this.notice.clear();
    this.composer.lock(true);
    try {
      const session = await this.#open();
      const clock = this.#clock();
      const response = await ask(session, question, this.#keys.of(session, question), signal);
      this.#keys.forget(session, question);
      const id = response.headers.get('Turn-Id') || '';
      // It may have been seen to be there meanwhile.
      const turn = this.conversation.find(id) ?? turnOf({ id, session, question, branches: [session], clock, model: this.#model });
      keep(turn.id, clock);
      this.#accepted(turn, response);
      return turn;
    } catch (error) {
      if (!signal.aborted) await this.#refused(Problem.from(error), question);
    } finally {
      this.composer.lock(false);
    }
    return null;
  }

  /** What the page measured until now, when the question is sent. */
  #clock() {
    const now = performance.now();
    const { from, to } = this.warmth.taken();
    const typing = this.#typing && now - this.#typing;
    this.#typing = 0;
    return { typing, warmFrom: from === null ? null : from - now, warmTo: to === null ? null : to - now };
  }

  /** @param {string} question with what is to be asked beside it */
  async askTogether(question) {
    if (this.#running) return;
    const beside = this.together.take();
    const { signal } = this.#stay;
    this.notice.clear();
    for (const other of beside.questions) this.#carried.add(other);
    const done = () => beside.questions.forEach((other) => this.#carried.delete(other));
    /** @type {import('./lanes.js').Lane[]} */
    let lanes = [];
    this.composer.lock(true);
    try {
      const some = beside.without || beside.questions.length;
      const after = some ? await this.#numberOf(this.conversation.last?.turn) : 0;
      const others = beside.questions.map(async (other) => branchOff(await this.#open(), after, other));
      if (beside.without) others.push(this.#open().then((session) => withoutHeadstart(session, after, question)));
      lanes = await this.lanes.open(others, signal);
    } catch (error) {
      if (signal.aborted) return;
      done();
      this.together.give(beside);
      return this.notice.say(Problem.from(error).sentence, { label: 'Try again', act: () => this.composer.submit() });
    } finally {
      this.composer.lock(false);
    }
    const turn = await this.ask(question);
    const view = turn && this.conversation.view(turn);
    if (signal.aborted) return this.lanes.close(lanes);
    if (!view) {
      done();
      this.together.give(beside);
      return this.lanes.close(lanes);
    }
    if (lanes.length) await this.lanes.run(view.node, lanes, turn.clock, signal);
    if (lanes.length && !signal.aborted) this.#learn();
  }

  /** @param {Turn} turn @param {HTMLElement} by where the menu of models is opened */
  async #askOther(turn, by) {
    const { signal } = this.#stay;
    try {
      const { chooseModel } = await import('./models.js');
      // Nor for who has gone on to write meanwhile.
      if (signal.aborted || ![by, document.body].includes(/** @type {HTMLElement} */ (document.activeElement))) return;
      const chosen = (/** @type {string} */ model) => this.askInstead(turn, turn.question, model);
      chooseModel(by, offered(this.contexts.tokens), this.#model, chosen, signal);
    } catch {
      this.notice.say(Problem.from(null).sentence);
    }
  }

  /** @param {Turn} turn @param {string} question to be asked in its place: in a branch, and the other stays @param {string} [model] */
  async askInstead(turn, question, model) {
    const { signal } = this.#stay;
    const session = this.#session;
    const edited = question !== turn.question;
    if (!session || this.#branching) {
      if (edited) this.composer.add(question);
      return this.notice.say('That could not be asked: what was begun before is still on its way.');
    }
    this.#branching = true;
    if (edited) this.#carried.add(question);
    try {
      const branch = await branchOff(session, (await this.#numberOf(turn)) - 1, question, signal, model);
      this.#carried.delete(question);
      this.go(branch.session, undefined, true);
    } catch (error) {
      if (signal.aborted) return;
      this.#carried.delete(question);
      if (edited || !this.composer.value) this.composer.add(question);
      this.composer.focus();
      return this.notice.say(Problem.from(error).sentence);
    } finally {
      this.#branching = false;
    }
    if (edited) this.#carried.add(question);
    const { signal: there } = this.#stay;
    await this.#loading;
    // Somebody who has gone on meanwhile asks nothing where they are now.
    if (there.aborted) return;
    if (await this.ask(question)) this.#learn();
    this.#carried.delete(question);
  }

  /** A turn's number in its session, where others may have asked meanwhile. @param {Turn} [turn] */
  async #numberOf(turn) {
    if (turn && !turn.number) await this.#learn();
    if (turn?.number === 0) throw Problem.from(null);
    return turn?.number ?? 0;
  }

  /** What has changed around the conversation: its warmth, its branches, and what was asked elsewhere. */
  async #learn() {
    const { signal } = this.#stay;
    if (!this.#session) return;
    const told = await call('GET', `/api/sessions/${this.#session}`, undefined, signal).catch(() => null);
    this.sidebar.load();
    if (!told || signal.aborted) return;
    entitle(told.title);
    await this.#catchUp(told, signal);
    if (!signal.aborted && !this.#running) this.warmth.show(told.warm, this.conversation.turns.length > 0);
  }

  /** Shows what was asked elsewhere. @param {any} told the session @param {AbortSignal} signal */
  async #catchUp(told, signal) {
    const missed = () => standing(told.turns).filter(({ turn }) => !this.conversation.find(turn));
    if (missed().length) {
      const whole = await call('GET', `/api/sessions/${this.#session}?render=html`, undefined, signal).catch(() => null);
      // What is being asked here comes with its own answer.
      if (!whole || signal.aborted || this.composer.locked) return;
      told = whole;
    }
    this.conversation.joined(told.turns);
    const turns = missed().map((one) => turnFrom(told, one));
    if (!turns.length) return;
    for (const { question } of turns) {
      if (!this.#keys.forget(told.session, question)) continue;
      this.#taken(question, true);
      this.notice.clear();
    }
    this.conversation.insert(turns);
    this.composer.turnTo(this.#family, true);
    const last = turns.at(-1);
    if (last?.state === 'running' && !this.#running) this.#attend(last, null);
  }

  /** @param {Turn} turn @param {Response|null} response */
  #accepted(turn, response) {
    this.#taken(turn.question);
    this.#unmade = 0;
    // Until the server tells its title, which it does with the answer's end.
    if (document.title === NAMELESS) entitle(turn.question.trim().slice(0, TITLE_CHARS));
    const at = document.activeElement;
    this.composer.turnTo(this.#family, true);
    if (!this.conversation.find(turn.id)) this.conversation.add(turn);
    this.#asked.postMessage(turn.session);
    if (turn.state === 'running' && this.#running !== turn) this.#attend(turn, response);
    else response?.body?.cancel();
    this.sidebar.load();
    if (at !== document.body && at?.checkVisibility() === false) this.composer.focus();
  }

  /** The server has it: it is written no more. @param {string} question @param {boolean} [lost] what was carried may stand below it */
  #taken(question, lost = false) {
    const [written, asked] = [this.composer.value.trim(), question.trim()];
    if (written === asked) this.composer.value = '';
    else if (lost && written.startsWith(`${asked}\n\n`)) this.composer.value = written.slice(asked.length).trimStart();
  }

  /** @param {Problem} problem @param {string} question it stays in the input */
  async #refused(problem, question) {
    if (this.#missed(problem)) return;
    // It was answered so long ago that only the session knows how.
    if (problem.code === 'journal_gone') return this.load();
    const { signal } = this.#stay;
    if (problem.code === 'turn_running') {
      this.composer.lock(false);
      await this.#learn();
      if (signal.aborted) return;
      if (this.#running && !this.composer.value) this.composer.value = question;
      if (this.#running && this.composer.value.trim() === question.trim()) return this.composer.submit();
    }
    if (problem.code === 'offline') this.warmth.away(problem, 'keystroke');
    this.notice.say(problem.sentence, { label: 'Try again', act: () => this.#again(question) }, afterwards(problem));
    if (!this.composer.value) this.composer.value = question;
    else if (this.#carried.has(question)) this.composer.add(question);
  }

  /** Where another answer runs by now, it waits for that as any other question. @param {string} question */
  #again(question) {
    if (this.composer.value.trim() === question.trim()) this.composer.submit();
    else this.ask(question);
  }

  /** @param {Turn} turn @param {Response|null} response */
  async #attend(turn, response) {
    const { signal } = this.#stay;
    this.#running = turn;
    this.#settle();
    await follow(turn, response, {
      changed: () => this.conversation.changed(turn),
      lost: (problem, again) => {
        this.notice.say(`${problem.sentence} Reconnecting…`, { label: 'Try now', act: again }, '');
        this.warmth.away(problem);
      },
      found: () => { this.notice.found(); this.warmth.back(); },
      gone: () => this.load(),
    }, signal);
    if (signal.aborted) return;
    this.#running = null;
    this.#settle();
    // What another window asked is not for this one's input.
    if (turn.state === 'failed' && turn.clock && !this.composer.value) this.composer.value = turn.question;
    if (turn.state === 'failed') this.composer.takeBack();
    await this.#learn();
    if (signal.aborted) return;
    if (this.composer.held && !this.#running) this.composer.submit();
    else if (this.composer.busy) this.warmth.trigger('keystroke');
  }

  /** The next question waits for the conversation's own answer alone, but all that runs can be stopped. */
  #settle() {
    const own = this.#running !== null;
    this.composer.running(own, own || this.lanes.running);
  }

  async stop() {
    const { stopButton } = this.composer;
    this.composer.focus();
    if (stopButton.hidden || stopButton.disabled) return;
    const { signal } = this.#stay;
    this.composer.stopping(true);
    try {
      await Promise.all([this.#running && end(this.#running, signal), this.lanes.stop(signal)]);
    } catch (error) {
      this.composer.stopping(false);
      this.notice.say(Problem.from(error).sentence);
    }
  }
}

new Chat();
