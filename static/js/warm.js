// @ts-check
/**
 * The warm state and its chip: says warm to the server when the reader is about to ask, follows the call to its end,
 * and counts the time that is left. Whether anything is spent is the server's decision.
 */
import { call, Problem, serverNow } from './api.js';
import { left } from './numbers.js';
import { sentence } from './reasons.js';

/** @typedef {{state: string, reason: string|null, started_at?: string|null, expires_at?: string|null,
 *   predicted_ms?: number|null, detail?: string}} Warm */

const COLD = { state: 'cold', reason: null };
const RENEW_MS = 20_000;
const RETRY_MS = 10_000;
const AWAY_MS = 3_000;
const PRESENT_MS = 60_000;
const SIGNS_OF_LIFE = ['keydown', 'pointerdown', 'pointermove', 'wheel', 'touchstart'];

/** @type {Record<string, string>} */
const MEANING = {
  cold: 'The model has not read the context yet. It starts when you turn to the question.',
  next: 'The model has the context and reads the rest when you turn to the next question.',
  warming: 'The model is reading the context while you type.',
  warm: 'The model has read the context: an answer starts at once.',
  skipped: 'Your question is answered all the same, only later.',
  failed: 'Your question can be asked all the same.',
  away: 'It is tried again until it answers.',
  held: 'To take it back, press Esc or change it.',
};

/** @type {Record<string, string>} what is announced; that nothing has begun yet is no news */
const NEWS = { held: 'Your question is sent when this answer has ended.', warming: 'Warming.', warm: 'Warm.', skipped: 'Not warm.', failed: 'Not warm.' };

/** @param {Warm} warm */
const why = ({ reason, detail }) => detail || sentence(reason);

export class Warmth {
  /** @type {Warm} */
  #warm = COLD;
  #busy = false;
  #tried = -Infinity;
  #since = 0;
  #round = 0;
  #going = false;
  /** @type {{from: number|null, to: number|null}} */
  #marks = { from: null, to: null };
  #active = performance.now();
  #spoke = false;
  /** @type {Problem|null} while the server does not answer */
  #away = null;
  /** @type {'focus'|'keystroke'|'visible'|null} what it was not told, for that reason */
  #lost = null;
  #held = false;

  /**
   * @param {{chip: HTMLElement, progress: HTMLProgressElement, spoken: HTMLElement, input: HTMLElement}} page
   * @param {() => Promise<string>} session gives the session to warm, made if there is none yet
   * @param {(problem: Problem) => void} failed
   */
  constructor({ chip, progress, spoken, input }, session, failed) {
    this.input = input;
    this.progress = progress;
    this.chip = chip;
    this.spoken = spoken;
    this.session = session;
    this.failed = failed;
    setInterval(() => this.#tick(), 500);
    for (const sign of SIGNS_OF_LIFE) {
      document.addEventListener(sign, () => (this.#active = performance.now()), { passive: true });
    }
  }

  /** Back to cold, whatever is under way. */
  reset() {
    this.#round++;
    this.#busy = false;
    this.#tried = -Infinity;
    this.#marks = { from: null, to: null };
    this.show(COLD, false);
    if (this.#spoke) this.spoken.textContent = '';
  }

  /**
   * What is known of the warmth may be wrong now.
   * @param {Problem} problem @param {'focus'|'keystroke'|'visible'|null} [lost] what it is to be told when it answers again
   */
  away(problem, lost = this.#lost) {
    this.#away = problem;
    this.#lost = lost;
    if (lost) this.#tried = performance.now();
    this.#draw();
  }

  /** @param {boolean} on while a question waits for an answer to end, which is what there is to say then */
  hold(on) {
    this.#held = on;
    this.#draw();
  }

  back() {
    if (!this.#away) return;
    this.#away = null;
    this.#draw();
  }

  /** @param {Warm} warm @param {boolean} [going] whether the conversation has turns: then only its end can be cold */
  show(warm, going = this.#going) {
    this.#going = going;
    const started = Date.parse(warm.started_at || '');
    if (warm.state !== this.#warm.state) this.#since = Number.isNaN(started) ? serverNow() : Math.min(started, serverNow());
    this.#warm = warm;
    this.#away = null;
    this.#lost = null;
    if (warm.state === 'warming') this.#marks.from ??= performance.now() - Math.max(0, serverNow() - this.#since);
    if (warm.state === 'warm' && this.#marks.from !== null) this.#marks.to ??= performance.now();
    this.#draw();
  }

  /** When the warming that the next question is to use began and ended, in `performance.now()`'s milliseconds. */
  taken() {
    const taken = this.#marks;
    this.#marks = { from: null, to: null };
    return taken;
  }

  /** @param {'focus'|'keystroke'|'visible'} trigger */
  trigger(trigger) {
    if (this.#busy || !this.#worthwhile()) return;
    this.#busy = true;
    this.#tried = performance.now();
    const round = this.#round;
    this.#run(trigger, round).finally(() => {
      if (round === this.#round) this.#busy = false;
    });
  }

  #worthwhile() {
    const { state } = this.#warm;
    if (this.#lost) return performance.now() - this.#tried > AWAY_MS;
    if (state === 'warm') return this.#left() < RENEW_MS && performance.now() - this.#tried > RETRY_MS;
    return state === 'cold' || state === 'warming' || performance.now() - this.#tried > RETRY_MS;
  }

  /** @param {'focus'|'keystroke'|'visible'} trigger @param {number} round a reset makes this round's answers void */
  async #run(trigger, round) {
    try {
      const path = `/api/sessions/${await this.session()}/warm`;
      for (let body = { trigger, wait: false }; round === this.#round; body = { trigger, wait: true }) {
        const { warm } = await call('POST', path, body);
        if (round === this.#round) this.show(warm);
        if (warm.state !== 'warming') return;
      }
    } catch (error) {
      const problem = Problem.from(error);
      if (round !== this.#round) return;
      if (['offline', 'shutting_down'].includes(problem.code)) {
        // Also when every server that was asked is about to end: another one will come.
        return this.away(Problem.from(null), trigger);
      }
      this.show({ state: 'failed', reason: problem.code, detail: problem.sentence });
      this.failed(problem);
    }
  }

  #left() {
    const end = Date.parse(this.#warm.expires_at || '');
    return Number.isNaN(end) ? Infinity : end - serverNow();
  }

  #tick() {
    // Kept alive for a reader who is there: a hidden tab, or one that was left alone, costs nothing.
    const present = !document.hidden && performance.now() - this.#active < PRESENT_MS;
    if (present && (this.#lost || this.#warm.state === 'warm')) this.trigger(this.#lost || 'visible');
    this.#draw();
  }

  #draw() {
    const expired = this.#warm.state === 'warm' && this.#left() <= 0;
    if (expired) this.#warm = COLD;
    const away = this.#away;
    const state = away ? 'away' : this.#held ? 'held' : this.#warm.state;
    const label = away ? away.sentence : this.#label(state);
    if (this.chip.textContent !== label) this.chip.textContent = label;
    const done = away || this.#held ? 0 : this.#done();
    this.progress.hidden = !done;
    this.progress.value = done;
    if (this.chip.dataset.state === state) return;
    const was = this.chip.dataset.state;
    const back = was === 'away' && 'The server is back.';
    this.chip.dataset.state = state;
    const reason = away || this.#held ? '' : why(this.#warm);
    this.chip.title = [reason, MEANING[state === 'cold' && this.#going ? 'next' : state]].filter(Boolean).join(' ');
    const news = away ? away.sentence : was === 'held' ? '' : expired ? 'No longer warm.' : NEWS[state];
    if (!news && !back) return;
    this.#spoke = true;
    this.spoken.textContent = [back, news, reason].filter(Boolean).join(' ');
  }

  #elapsed() {
    return Math.max(0, serverNow() - this.#since);
  }

  /** How far a warm has come, by what it should take: never quite there before it is. */
  #done() {
    const { state, predicted_ms: predicted } = this.#warm;
    return state === 'warming' && predicted ? Math.min(0.95, this.#elapsed() / predicted) : 0;
  }

  /** @param {string} state */
  #label(state) {
    if (state === 'held') return 'Sent when this answer has ended';
    if (state === 'cold') {
      // A cursor that is in the field already is no sign any more: the next one is a key.
      const next = document.activeElement === this.input ? 'as you type' : 'as you turn to it';
      return this.#going ? `Warms ${next}` : `Cold · warms ${next}`;
    }
    if (state === 'warming') {
      const { predicted_ms: predicted } = this.#warm;
      const of = predicted && predicted > this.#elapsed() ? ` of about ${Math.max(1, Math.round(predicted / 1000))}` : '';
      return `Warming · ${Math.floor(this.#elapsed() / 1000)}${of} s`;
    }
    if (state === 'warm') return Number.isFinite(this.#left()) ? `Warm · ${left(this.#left())} left` : 'Warm';
    return `Not warm${why(this.#warm) && ` · ${why(this.#warm)}`}`;
  }
}
