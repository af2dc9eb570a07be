// @ts-check
/**
 * Questions that are asked beside the conversation's own turn: others from the same point, each in a branch of its own, or
 * the same one without Headstart. They stand beside it where there is room, and live as long as the page shows them; what was
 * made for them and is not to stay on the server is erased.
 */
import { call, Problem } from './api.js';
import { keep } from './clocks.js';
import { TurnView } from './conversation.js';
import { newKey } from './keys.js';
import { ask, end, follow, turnFrom, turnOf } from './turn.js';

/** @typedef {{session: string, model: string, question: string, label: string, passing: boolean}} Lane a `passing` one is erased in the end */

/** @param {string} session @param {number} after @param {string} question @param {AbortSignal} [signal] @param {string} [model] @returns {Promise<Lane>} */
export async function branchOff(session, after, question, signal, model) {
  const fork = await call('POST', `/api/sessions/${session}/fork`, { after_turn: after, model }, signal);
  return { session: fork.session, model: fork.model, question, label: '', passing: false };
}

/** @param {string} session @param {number} after @param {string} question @returns {Promise<Lane>} */
export async function withoutHeadstart(session, after, question) {
  const copy = await call('POST', `/api/sessions/${session}/fork`, { after_turn: after, isolation: 'session' });
  return { session: copy.session, model: copy.model, question, label: 'Without Headstart', passing: true };
}

export class Lanes {
  /** Those that run, and whether they are to be stopped. @type {Map<import('./turn.js').Turn, boolean>} */
  #running = new Map();
  /** Those that are to be erased: copies in the end, others if they are not asked. @type {Set<string>} */
  #passing = new Set();

  /** @param {{go: (session: string) => void, changed: () => void, whole: (answer: HTMLElement) => void, accepted: (question: string) => void}} on going to a branch; `changed`: whether any run may be another */
  constructor(on) {
    this.on = on;
    addEventListener('pagehide', () => this.#passing.forEach((session) => this.#erase(session)));
  }

  /**
   * All of them, or none: then those that were made are erased, also when that is heard only later.
   * @param {Promise<Lane>[]} making without a signal, as the server makes what nobody waits for any more
   * @param {AbortSignal} signal @returns {Promise<Lane[]>}
   */
  async open(making, signal) {
    for (const lane of making) lane.then(({ session }) => this.#passing.add(session), () => {});
    const left = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    try {
      return await Promise.race([Promise.all(making), left]);
    } catch (error) {
      for (const lane of making) lane.then(({ session }) => this.#erase(session), () => {});
      throw error;
    }
  }

  /** Erases lanes that are not to be asked after all. @param {Lane[]} lanes */
  close(lanes) {
    return Promise.all(lanes.map(({ session }) => this.#erase(session)));
  }

  /** @param {string} session */
  async #erase(session) {
    try {
      const { ok, status } = await fetch(`/api/sessions/${session}`, { method: 'DELETE', keepalive: true });
      if (ok || status === 404) this.#passing.delete(session);
    } catch {
      // It is tried again when the page goes, and goes with its conversation at the latest.
    }
  }

  /**
   * @param {HTMLElement} article of the conversation's own turn @param {Lane[]} lanes
   * @param {import('./clocks.js').Clock|null} clock of that turn: these are sent as soon as it is accepted
   * @param {AbortSignal} signal
   */
  run(article, lanes, clock, signal) {
    const row = document.createElement('div');
    row.className = 'lanes';
    row.dataset.lanes = String(lanes.length + 1);
    article.replaceWith(row);
    row.append(article);
    if (lanes.some(({ passing }) => passing)) article.prepend(heading('With Headstart'));
    return Promise.all(lanes.map((lane) => this.#open(row, lane, clock, signal)));
  }

  /** @param {HTMLElement} row @param {Lane} lane @param {import('./clocks.js').Clock|null} measured @param {AbortSignal} signal */
  async #open(row, lane, measured, signal) {
    // Nothing was warmed for a copy.
    const clock = measured && lane.passing ? { ...measured, warmFrom: null, warmTo: null } : measured;
    const turn = turnOf({ question: lane.question, model: lane.model, clock });
    let key = newKey();
    const again = () => {
      if (this.#running.has(turn)) return;
      // One that is known to have come to nothing is asked anew.
      if (turn.id) key = newKey();
      Object.assign(turn, turnOf({ question: lane.question, model: lane.model }));
      view.changed();
      this.#ask(view, lane, key, signal);
    };
    const view = new TurnView(turn, { whole: this.on.whole, again: lane.passing ? undefined : again });
    view.node.prepend(lane.passing ? heading(lane.label) : this.#way(lane.session));
    row.append(view.node);
    if (!lane.passing) this.#passing.delete(lane.session);
    await this.#ask(view, lane, key, signal);
    if (lane.passing) await this.#erase(lane.session);
  }

  /** @param {TurnView} view @param {Lane} lane @param {string} key @param {AbortSignal} signal */
  async #ask(view, lane, key, signal) {
    const { turn } = view;
    const tick = setInterval(() => view.tick(), 250);
    this.#running.set(turn, false);
    this.on.changed();
    try {
      const response = await ask(lane.session, lane.question, key, signal);
      turn.id = response.headers.get('Turn-Id') || '';
      this.on.accepted(lane.question);
      if (turn.clock) keep(turn.id, turn.clock);
      if (this.#running.get(turn)) end(turn, signal).catch(() => {});
      await follow(turn, response, {
        changed: () => view.changed(), lost: () => {}, found: () => {},
        gone: async () => {
          const told = await call('GET', `/api/sessions/${lane.session}?render=html`, undefined, signal);
          Object.assign(turn, turnFrom(told, told.turns.at(-1)));
          view.changed();
        },
      }, signal);
    } catch (error) {
      if (!signal.aborted) Object.assign(turn, { state: 'failed', problem: Problem.from(error).fields });
      view.changed();
    } finally {
      clearInterval(tick);
      this.#running.delete(turn);
      this.on.changed();
    }
  }

  /** @param {string} session */
  #way(session) {
    const link = document.createElement('a');
    link.href = `/?session=${encodeURIComponent(session)}`;
    link.textContent = 'Go on from here';
    link.addEventListener('click', (event) => {
      event.preventDefault();
      this.on.go(session);
    });
    const line = heading('');
    line.append(link);
    return line;
  }

  get running() {
    return this.#running.size > 0;
  }

  /** Ends all that still run; one that is not accepted yet, as soon as it is. @param {AbortSignal} signal */
  stop(signal) {
    const turns = [...this.#running.keys()];
    for (const turn of turns) this.#running.set(turn, true);
    return Promise.all(turns.filter(({ id }) => id).map((turn) => end(turn, signal)));
  }
}

/** @param {string} text */
function heading(text) {
  const line = document.createElement('p');
  line.className = 'lane';
  line.textContent = text;
  return line;
}
