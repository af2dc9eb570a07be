// @ts-check
/** Turns on the page: one article a turn, drawn from its state at most once a frame, kept in sight while it grows. */
import { editQuestion, questionTools } from './branches.js';
import { copy } from './clipboard.js';
import { hourCycle, seconds } from './numbers.js';
import { Prose, tendFigures } from './prose.js';
import { ratingTools } from './rating.js';
import { standing } from './turn.js';
import { cacheOf, facts, inFull } from './verdict.js';

/** @typedef {import('./turn.js').Turn} Turn */

const STOPPED = 'Stopped';
const UNREAD = 'Stopped, since nobody was reading. Ask again to have it whole.';
/** @type {Record<string, string>} */
const ENDINGS = {
  max_tokens: 'The answer reached its length limit.',
  model_context_window_exceeded: 'The conversation has filled the model’s context window.',
  refusal: 'The model declined to go on.',
};

/** @param {Turn} turn */
function waitingFor({ phase, plan }) {
  if (phase === 'thinking') return 'Thinking…';
  if (plan === 'join') return 'Finishing the warm-up…';
  return plan === 'hit' ? 'Starting…' : 'Reading the context…';
}

const WORTH_SAYING_MS = 100;

/** @param {Turn} turn */
const thoughtOf = ({ thought }) => (thought < WORTH_SAYING_MS ? 'Thought about it' : `Thought for ${seconds(thought)}`);

// A question that has more, by a guess, is shown by its beginning.
const LONG_LINES = 24;
const LINE_CHARS = 80;

/** @param {string} text */
const isLong = (text) => text.split('\n').length + text.length / LINE_CHARS > LONG_LINES;

/** @param {string} name @param {string} tag @param {...(Node|string)} inside */
export function part(name, tag, ...inside) {
  const node = document.createElement(tag);
  node.className = name;
  node.append(...inside);
  return node;
}

const when = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short', hourCycle });

/** Which model answered, and when it was asked. @param {Turn} turn */
function byline({ model, asked }) {
  const time = document.createElement('time');
  time.dateTime = new Date(asked).toISOString();
  time.textContent = when.format(asked);
  return part('by', 'p', `${model}, asked `, time);
}

/** @param {string} text */
const unseen = (text) => part('unseen', 'span', text);

/** @param {string} news for who does not see it */
const say = (news) => { /** @type {HTMLElement} */ (document.getElementById('spoken')).textContent = news; };

/** @typedef {import('./branches.js').On & {again?: (turn: Turn) => void, whole?: (answer: HTMLElement) => void, refused?: (problem: import('./api.js').Problem) => void}} On
 * what can be done with a turn, and with an answer once it is whole; `refused`: what its reader said of it is not kept */

export class TurnView {
  #frame = 0;

  /** @param {Turn} turn @param {On} on */
  constructor(turn, on) {
    this.turn = turn;
    this.on = on;
    this.question = part('question', 'div', unseen('You asked: '), turn.question);
    this.more = part('', 'button');
    Object.assign(this.more, { type: 'button', title: 'The whole question' });
    this.more.addEventListener('click', () => this.fold(this.more.ariaExpanded === 'true'));
    if (isLong(turn.question)) this.fold(true);
    this.tools = part('asked', 'div');
    this.answer = part('prose', 'div');
    this.prose = new Prose(this.answer);
    this.thought = part('', 'div');
    this.summary = part('', 'summary');
    this.thinking = part('thinking', 'details', this.summary, this.thought);
    this.seconds = part('', 'span');
    this.seconds.ariaHidden = 'true';
    this.wait = part('', 'span');
    this.status = part('status', 'p', this.wait, ' ', this.seconds);
    this.foot = part('foot', 'div');
    this.copying = part('copy', 'button', 'Copy');
    Object.assign(this.copying, { type: 'button', title: 'Copy the answer as Markdown', ariaLabel: 'Copy the answer' });
    this.copying.addEventListener('click', () => this.copy());
    this.node = part('turn', 'article',
      this.question, this.tools,
      part('answer', 'div', unseen('Answer: '), this.thinking, this.answer, this.status, this.foot));
    this.joined();
    this.draw();
  }

  /** Draws the ways that lead off the question, as they are known by now. Who is at one of them stays there. */
  joined() {
    const { activeElement: at } = document;
    const tool = this.tools.contains(at) ? /** @type {HTMLElement} */ (at).title : null;
    const more = this.more.ariaExpanded ? [this.more] : [];
    this.tools.replaceChildren(...more, ...questionTools(this.turn, this.on, () => this.askAgain(), () => this.edit()));
    if (tool !== null) this.goTo(tool);
  }

  /** Has the focus go to a tool of the question's. @param {string} tool its title; if it is not there, the first one is meant */
  goTo(tool) {
    const tools = /** @type {HTMLButtonElement[]} */ ([...this.tools.querySelectorAll('button:enabled')]);
    (tools.find(({ title }) => title === tool) ?? tools[0])?.focus({ preventScroll: true });
  }

  /** @param {boolean} on whether its question is shown by its beginning */
  fold(on) {
    this.question.toggleAttribute('data-folded', on);
    Object.assign(this.more, { textContent: on ? 'Show all' : 'Show less', ariaExpanded: String(!on) });
    if (!on) return;
    // A search in the page may have scrolled it to what was found.
    this.question.scrollTop = 0;
    this.question.scrollIntoView({ block: 'nearest' });
  }

  askAgain() {
    this.on.edit?.(this.turn, this.turn.question);
  }

  edit() {
    const { turn, on } = this;
    if (!on.edit || !this.question.isConnected) return;
    this.tools.hidden = true;
    const ended = () => {
      this.tools.hidden = false;
      /** @type {HTMLElement|null} */ (this.tools.querySelector('button:last-child'))?.focus();
    };
    editQuestion(this.question, turn.question, (question) => {
      this.tools.hidden = false;
      on.edit?.(turn, question);
    }, ended);
  }

  /** Draws with the next frame, or at once when the turn has ended: a hidden page has no frames. */
  changed() {
    if (this.turn.state !== 'running') return this.draw();
    this.#frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const { turn, node } = this;
    const running = turn.state === 'running';
    Object.assign(node.dataset, { turn: turn.id, state: turn.state, phase: turn.phase });
    node.ariaBusy = String(running);
    this.prose.show(turn.blocks);
    this.thinking.hidden = !turn.thinking;
    if (this.thought.textContent !== turn.thinking) this.thought.textContent = turn.thinking;
    this.status.hidden = !running || turn.phase === 'writing' || (turn.phase === 'thinking' && !this.thinking.hidden);
    this.tick();
    if (running) return this.foot.replaceChildren();
    this.foot.replaceChildren(...this.#ending());
    this.on.whole?.(this.answer);
  }

  tick() {
    const { turn } = this;
    const s = Math.floor((performance.now() - turn.since) / 1000);
    const text = waitingFor(turn);
    if (this.wait.textContent !== text) this.wait.textContent = text;
    this.seconds.textContent = s ? `${s} s` : '';
    const said = turn.state === 'running' && turn.phase === 'thinking' ? this.status.textContent : thoughtOf(turn);
    if (this.summary.textContent !== said) this.summary.textContent = said;
  }

  /** The answer as the model wrote it, as far as it has come. */
  copy() {
    return copy(this.turn.answer, this.answer, this.copying, say);
  }

  #ending() {
    const { answer, state, stopped, verdict, ending, problem } = this.turn;
    const lines = [];
    if (ENDINGS[ending || '']) lines.push(part('note', 'p', ENDINGS[ending || '']));
    if (state === 'stopped') lines.push(part('note', 'p', stopped === 'unread' ? UNREAD : STOPPED));
    if (verdict) lines.push(this.#stats(verdict));
    if (state === 'failed') lines.push(this.#failure(problem || {}));
    if (answer) lines.push(part('does', 'div', ...(this.on.refused ? ratingTools(this.turn, this.on.refused) : []), this.copying));
    return lines;
  }

  /** @param {Record<string, any>} verdict */
  #stats(verdict) {
    const kind = part('cache', 'span', cacheOf(verdict));
    kind.dataset.cache = verdict.cache;
    const summary = part('stats', 'summary', kind, ...facts(verdict).flatMap((fact) => [' ', part('fact', 'span', fact)]));
    const times = part('times', 'details', summary, ...inFull(verdict).map((said) => part('by', 'p', said)), byline(this.turn));
    const draw = () => import('./timeline.js').then(({ timeline }) => summary.after(timeline(this.turn)), () => {
      times.addEventListener('toggle', draw, { once: true });
    });
    if (verdict.ttft_ms != null) times.addEventListener('toggle', draw, { once: true });
    return times;
  }

  /** @param {Record<string, any>} problem */
  #failure(problem) {
    const again = part('again', 'button', 'Try again');
    again.setAttribute('type', 'button');
    again.addEventListener('click', () => this.on.again?.(this.turn));
    const what = problem.detail || problem.title || 'The answer could not be finished.';
    const node = part('problem', 'p', what, ...(this.on.again ? [' ', again] : []));
    node.setAttribute('role', 'alert');
    return node;
  }
}

/** @typedef {{at: number, top?: number, tool?: string}} Place the number of a turn in its session, how far below the window's
 * top it begins, in pixels, and the title of the tool that was used on its question; of one that was searched for, the number alone */

const NEAR = 24;
const FOUND_MS = 2000;
const page = document.documentElement;
const toEnd = () => scrollTo({ top: page.scrollHeight, behavior: 'instant' });

export class Conversation {
  /** @type {Map<Turn, TurnView>} */
  #views = new Map();
  #following = false;
  #at = 0;

  /** @param {{log: HTMLElement, hello: HTMLElement, down: HTMLElement}} page @param {On} on */
  constructor({ log, hello, down }, on) {
    this.log = log;
    this.hello = hello;
    this.down = down;
    this.on = on;
    setInterval(() => this.#views.forEach((view) => view.turn.state === 'running' && view.tick()), 250);
    addEventListener('scroll', () => this.#scrolled());
    tendFigures(log, say);
    new ResizeObserver(() => this.#resized()).observe(document.body);
    // Who presses it goes on with what they were at, which may be a question.
    down.addEventListener('mousedown', (event) => event.preventDefault());
    down.addEventListener('click', () => this.#goDown());
  }

  #resized() {
    if (this.#following && this.turns.length) toEnd();
    this.#settle();
  }

  #goDown() {
    const held = document.activeElement === this.down;
    this.#following = true;
    toEnd();
    this.#settle();
    if (!held || !this.last) return;
    // The button is gone now, and who pressed a key on it is at the last answer.
    this.last.node.tabIndex = -1;
    this.last.node.focus({ preventScroll: true });
  }

  get #below() {
    return page.scrollHeight - innerHeight - scrollY;
  }

  /** The way to the end is shown to who is not there. */
  #settle() {
    this.down.hidden = this.#following || !this.turns.length || this.#below < NEAR;
  }

  /** Only going up leaves the end: a page that grew is further from it too, and nobody left. */
  #scrolled() {
    if (this.#below < NEAR) this.#following = true;
    else if (scrollY < this.#at) this.#following = false;
    this.#at = scrollY;
    this.#settle();
  }

  get turns() {
    return [...this.#views.keys()];
  }

  /** @param {Turn[]} turns @param {Place} [place] to stay at; else the end is shown */
  replace(turns, place) {
    this.#views.clear();
    this.log.replaceChildren();
    this.#append(turns);
    if (!turns.length) scrollTo(0, 0);
    if (place) this.#stayAt(place);
  }

  /** @param {Turn} turn @returns {Place} */
  placeOf(turn) {
    const top = this.#views.get(turn)?.node.getBoundingClientRect().top ?? 0;
    const tool = /** @type {HTMLElement|null} */ (document.activeElement)?.title || '';
    return { at: turn.number, top, tool };
  }

  /** @param {Place} place */
  #stayAt({ at, top, tool }) {
    const view = [...this.#views.values()].find(({ turn }) => turn.number === at);
    if (!view) return;
    this.#following = false;
    if (tool === undefined) this.#found(view.node);
    else view.goTo(tool);
    const back = () => {
      if (top === undefined) view.node.scrollIntoView({ behavior: 'instant' });
      else scrollBy({ top: view.node.getBoundingClientRect().top - top, behavior: 'instant' });
    };
    back();
    this.#at = scrollY;
    // What comes into sight is laid out only now, and may be higher than it was taken for.
    requestAnimationFrame(back);
    this.#settle();
  }

  /** It is marked for a moment, and what is pressed next goes on from there. @param {HTMLElement} node */
  #found(node) {
    node.tabIndex = -1;
    node.focus({ preventScroll: true });
    node.classList.add('found');
    setTimeout(() => node.classList.remove('found'), FOUND_MS);
  }

  /** @param {Turn} turn */
  add(turn) {
    this.#append([turn]);
    this.#thin();
  }

  /** Takes off what came to nothing and was asked once more. */
  #thin() {
    const stay = standing(this.turns);
    for (const [turn, { node }] of this.#views) {
      if (stay.includes(turn) || node.parentElement !== this.log || node.querySelector('.editing')) continue;
      node.remove();
      this.#views.delete(turn);
    }
  }

  /** @param {Turn[]} turns */
  #append(turns) {
    const views = turns.map((turn) => new TurnView(turn, this.on));
    for (const view of views) this.#views.set(view.turn, view);
    this.hello.hidden = this.#views.size > 0;
    this.log.append(...views.map(({ node }) => node));
    this.#busy();
    this.#following = true;
    if (views.length) toEnd();
  }

  /** @param {Turn} turn */
  view(turn) {
    return this.#views.get(turn);
  }

  get last() {
    return [...this.#views.values()].at(-1);
  }

  /** The last answer that there is. */
  copy() {
    [...this.#views.values()].findLast(({ turn }) => turn.answer)?.copy();
  }

  /** @param {{turn: string, number: number, branches: string[]}[]} told the session's turns, which know their branches */
  joined(told) {
    for (const { turn: id, number, branches } of told) {
      const turn = this.find(id);
      if (!turn) continue;
      turn.number = number;
      // What has not changed is not drawn again: somebody may be about to use it.
      if (String(branches) === String(turn.branches)) continue;
      turn.branches = branches;
      this.#views.get(turn)?.joined();
    }
  }

  /** @param {string} id */
  find(id) {
    return this.turns.find((turn) => turn.id === id);
  }

  /** Puts turns that were asked elsewhere where they belong; what the reader looks at stays where it is. @param {Turn[]} turns */
  insert(turns) {
    const seen = [...this.#views.values()].find(({ node }) => node.getBoundingClientRect().bottom > 0)?.node;
    const top = seen?.getBoundingClientRect().top ?? 0;
    for (const turn of turns) {
      const view = new TurnView(turn, this.on);
      const next = [...this.#views.values()].find((other) => !other.turn.number || other.turn.number > turn.number);
      // One may stand in a row with what was asked beside it.
      this.log.insertBefore(view.node, next ? next.node.closest('#log > *') : null);
      this.#views = new Map([...this.#views, [turn, view]].sort(([a], [b]) => (a.number || Infinity) - (b.number || Infinity)));
    }
    this.#thin();
    this.hello.hidden = true;
    this.#busy();
    if (this.#following) toEnd();
    else if (seen) scrollBy({ top: seen.getBoundingClientRect().top - top, behavior: 'instant' });
  }

  /** @param {Turn} turn */
  changed(turn) {
    this.#views.get(turn)?.changed();
    if (turn.state !== 'running') this.#ended(turn);
  }

  #busy() {
    this.log.ariaBusy = String(this.turns.some((turn) => turn.state === 'running'));
  }

  /** @param {Turn} turn */
  #ended(turn) {
    this.#busy();
    const first = turn.verdict?.ttft_ms;
    const after = first == null ? '' : ` First text after ${seconds(first)}.`;
    say({ done: `Answer complete.${after}`, stopped: 'Answer stopped.' }[/** @type {string} */ (turn.state)] || '');
  }
}
