// @ts-check
/**
 * One turn, from its events to its state. `apply` is the state's arithmetic; `follow` keeps an event stream alive until
 * the turn has ended, through cuts, with every event applied exactly once. Draws nothing.
 */
import { call, Problem, send, serverNow } from './api.js';
import { clockOf } from './clocks.js';
import { read } from './sse.js';

/**
 * @typedef {{id: string, number: number, question: string, state: 'running'|'done'|'stopped'|'failed',
 *   phase: 'waiting'|'thinking'|'writing', since: number, plan: string|null, answer: string, blocks: string[], thinking: string,
 *   thought: number, ending: string|null, stopped: string|null, verdict: Record<string, any>|null,
 *   problem: Record<string, any>|null, last: number, session: string|null, branches: string[],
 *   clock: import('./clocks.js').Clock|null, model: string, asked: number, rating: string|null}} Turn `branches` lead to what was asked in
 *   this question's place, `clock` is what the page measured, `asked` is when it was asked, by the server's clock; `since` is when the phase began, in `performance.now()`'s milliseconds; `answer` is
 *   its Markdown and `blocks` its HTML, and `thought` is how long the model thought, in milliseconds, 0 when that is not known
 */

/** @param {Partial<Turn>} known @returns {Turn} */
export const turnOf = (known) => ({
  id: '', number: 0, question: '', state: 'running', phase: 'waiting', since: performance.now(), plan: null,
  answer: '', blocks: [], thinking: '', thought: 0, ending: null, stopped: null, verdict: null, problem: null, last: 0,
  session: null, branches: [], clock: null, model: '', asked: serverNow(), rating: null, ...known,
});

/** @param {Turn} turn @param {Turn['phase']} phase */
function enter(turn, phase) {
  if (turn.phase === phase) return;
  const now = performance.now();
  if (turn.phase === 'thinking') turn.thought += now - turn.since;
  turn.since = now;
  turn.phase = phase;
}

/** @param {Record<string, any>|null} verdict @returns {number} how long the model thought, as the server measured it */
const thoughtFor = (verdict) => Math.max(0, verdict?.ttft_ms - verdict?.ttfb_ms || 0);

/**
 * @param {Record<string, any>} session as the server tells it @param {Record<string, any>} told a turn as that lists it
 * @returns {Turn}
 */
export function turnFrom({ session, model: own }, { turn, model = own, number, state, question, answer, html: blocks, thinking, verdict, problem, stopped, branches, asked_at, rating = null }) {
  const thought = thoughtFor(verdict);
  const asked = Date.parse(asked_at) || serverNow();
  const about = { id: turn, session, model, asked, number, question, branches, clock: clockOf(turn), rating };
  if (state !== 'running') return turnOf({ ...about, state, answer, blocks, thinking, thought, verdict, problem, stopped });
  const age = Math.max(0, serverNow() - asked);
  return turnOf({ ...about, since: performance.now() - age });
}

/**
 * What of `turns` is shown: one that came to nothing and was asked once more, is not, so that a question stands there once.
 * @template {{state: string, question: string, answer: string}} T @param {T[]} turns
 */
export const standing = (turns) => turns.filter(({ state, question, answer }, at) => (
  state !== 'failed' || answer || question.trim() !== turns[at + 1]?.question.trim()
));

/** @param {Turn} turn the message is streamed anew; its blocks go with an `html` event of their own */
function begin(turn) {
  enter(turn, 'waiting');
  Object.assign(turn, { answer: '', thinking: '', thought: 0, ending: null });
}

/** @param {Turn} turn @param {any} delta */
function grow(turn, delta) {
  if (delta?.type === 'text_delta' && delta.text) {
    enter(turn, 'writing');
    turn.answer += delta.text;
  } else if (delta?.type === 'thinking_delta') {
    turn.thinking += delta.thinking || '';
  }
}

/** @type {Record<string, (turn: Turn, data: any) => void>} */
const HANDLERS = {
  turn: (turn, data) => { turn.plan = data.plan ?? null; },
  content_block_start: (turn, { content_block: block }) => {
    if (block?.type === 'thinking' || block?.type === 'redacted_thinking') enter(turn, 'thinking');
    if (block?.type === 'text') grow(turn, { type: 'text_delta', text: block.text });
  },
  content_block_delta: (turn, data) => grow(turn, data.delta),
  message_delta: (turn, data) => { turn.ending = data.delta?.stop_reason ?? turn.ending; },
  message_start: begin,
  restart: begin,
  html: (turn, { block, html, open }) => {
    if (open) turn.blocks.length = Math.min(block, turn.blocks.length);
    if (html) turn.blocks[block] = html;
  },
  verdict: (turn, data) => Object.assign(turn, { state: 'done', verdict: data, thought: thoughtFor(data) || turn.thought }),
  stopped: (turn, { reason, verdict }) => Object.assign(turn, { state: 'stopped', stopped: reason, verdict }),
  error: (turn, data) => Object.assign(turn, { state: 'failed', problem: data }),
};

/** @param {Turn} turn @param {import('./sse.js').ServerEvent} event @returns {boolean} whether it was news */
export function apply(turn, event) {
  const id = event.id === null ? null : Number(event.id);
  if (turn.state !== 'running' || (id !== null && id <= turn.last)) return false;
  if (id !== null) turn.last = id;
  HANDLERS[event.event]?.(turn, JSON.parse(event.data));
  return event.event in HANDLERS;
}

/** @param {Problem} problem of an ask @returns {boolean} whether it may have been accepted all the same */
const unsure = ({ code, status }) => code === 'offline' || (status >= 500 && code !== 'shutting_down');

/**
 * Asks; once more where nobody knows whether that was heard, since under one key it is one question.
 * @param {string} session @param {string} question @param {string} key @param {AbortSignal} signal
 * @returns {Promise<Response>} the turn's events from its beginning
 */
export async function ask(session, question, key, signal) {
  const headers = { 'Idempotency-Key': key };
  const once = () => send('POST', `/api/sessions/${session}/ask?render=html`, { question }, { signal, headers });
  try {
    return await once();
  } catch (error) {
    if (signal.aborted || !unsure(Problem.from(error))) throw error;
    return once();
  }
}

// The server says something every 15 s at least.
const SILENCE_MS = 40_000;
const UNANSWERED_MS = 10_000;
const LOOK_MS = 1_000;
const LONGEST_PAUSE_MS = 8_000;

/**
 * One attempt: reads until the turn or the stream has ended, or nothing has come for too long by the clock on the wall,
 * which goes on while a laptop sleeps. A network that comes back may be another one, so then a connection is given up, too.
 * @param {Turn} turn @param {Response|null} response @param {{changed: () => void, found: () => void}} on
 * @param {AbortSignal} called off
 */
async function attend(turn, response, on, called) {
  const silence = new AbortController();
  const fell = () => silence.abort();
  const signal = AbortSignal.any([called, silence.signal]);
  let heard = Date.now();
  let patience = UNANSWERED_MS;
  const watch = setInterval(() => Date.now() - heard > patience && fell(), LOOK_MS);
  const alive = () => { heard = Date.now(); };
  addEventListener('online', fell);
  try {
    const headers = { 'Last-Event-ID': String(turn.last) };
    response ??= await send('GET', `/api/turns/${turn.id}/events?render=html`, undefined, { signal, headers });
    on.found();
    patience = SILENCE_MS;
    alive();
    if (!response.body) return;
    for await (const event of read(response.body, { signal, alive })) {
      if (apply(turn, event)) on.changed();
      if (turn.state !== 'running') return;
    }
  } finally {
    clearInterval(watch);
    removeEventListener('online', fell);
  }
}

/** @param {number} ms @param {AbortSignal} signal ends early when the network is back, or when it is called off */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', done);
      signal.removeEventListener('abort', done);
      resolve(undefined);
    };
    const timer = setTimeout(done, ms);
    addEventListener('online', done);
    signal.addEventListener('abort', done);
  });
}

const STOP_AGAIN_MS = 500;

/**
 * Has the server end `turn`: said again until it was heard, or is refused for good.
 * @param {Turn} turn @param {AbortSignal} signal
 */
export async function end(turn, signal) {
  while (turn.state === 'running' && !signal.aborted) {
    try {
      await call('POST', `/api/turns/${turn.id}/stop`, undefined, signal);
      return;
    } catch (error) {
      // One that has ended meanwhile may be gone already.
      if (signal.aborted || turn.state !== 'running') return;
      if (!Problem.from(error).retryable) throw error;
    }
    await pause(STOP_AGAIN_MS, signal);
  }
}

/**
 * @param {Turn} turn @param {Response|null} response the ask's own stream, or null to fetch what came after `turn.last`
 * @param {{changed: () => void, lost: (problem: Problem, again: () => void) => void, found: () => void, gone: () => void}} on
 *   `lost` may cut the pause before the next attempt short by calling `again`; `gone`: it ended so long ago that only the
 *   session knows how
 * @param {AbortSignal} signal
 */
export async function follow(turn, response, on, signal) {
  for (let failures = 0; turn.state === 'running' && !signal.aborted; ) {
    const before = turn.last;
    let problem = Problem.from(null);
    try {
      await attend(turn, response, on, signal);
    } catch (error) {
      problem = Problem.from(error);
      if (problem.code === 'journal_gone' && !signal.aborted) return on.gone();
      // What is not in the server's words says nothing of the turn.
      if (!problem.retryable && problem.code && !signal.aborted) {
        Object.assign(turn, { state: 'failed', problem: problem.fields });
        on.changed();
      }
    }
    response = null;
    if (turn.state !== 'running' || signal.aborted) return;
    failures = turn.last > before ? 1 : failures + 1;
    const soon = new AbortController();
    if (failures > 1) on.lost(problem, () => soon.abort());
    const ms = Math.min(LONGEST_PAUSE_MS, 125 * 2 ** failures) * (0.5 + Math.random() / 2);
    await pause(ms, AbortSignal.any([soon.signal, signal]));
  }
}
