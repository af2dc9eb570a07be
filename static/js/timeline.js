// @ts-check
/**
 * Where a turn's time went, drawn small: typing, warming, waiting, the answer, and where it would have stood cold.
 * conversation.js loads it when somebody looks.
 */
import { drawn } from './html.js';
import { seconds } from './numbers.js';

/** @typedef {{name: string, label: string, from: number, to: number}} Span in milliseconds from when it was sent */

const LONGEST_BEFORE_MS = 20_000;
const WIDTH = 1000;
const THINNEST = 3;

/** @param {import('./turn.js').Turn} turn @returns {Span[]} */
function spansOf({ clock, verdict }) {
  const { waited_ms: waited = 0, ttft_ms: first, total_ms: total } = verdict || {};
  const { typing = 0, warmFrom = null, warmTo = null } = clock || {};
  const spans = [];
  if (typing) spans.push({ name: 'typing', label: 'Typing', from: -typing, to: 0 });
  if (warmFrom !== null) spans.push({ name: 'warming', label: 'Warming', from: warmFrom, to: warmTo ?? waited });
  spans.push({ name: 'waiting', label: 'Waiting for the first text', from: 0, to: first });
  spans.push({ name: 'writing', label: 'Answer', from: first, to: Math.max(total, first) });
  return spans;
}

/** @param {import('./turn.js').Turn} turn with a verdict that tells when its text began */
export function timeline(turn) {
  const spans = spansOf(turn);
  const cold = turn.verdict?.cold_ms;
  const start = Math.max(-LONGEST_BEFORE_MS, Math.min(...spans.map(({ from }) => from)));
  const end = Math.max(cold || 0, ...spans.map(({ to }) => to));
  const at = (/** @type {number} */ ms) => (WIDTH * (Math.max(start, ms) - start)) / (end - start);
  const figure = document.createElement('figure');
  figure.className = 'timeline';
  const bars = drawn('svg', { viewBox: `0 0 ${WIDTH} 36`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  const list = document.createElement('dl');
  for (const { name, label, from, to } of spans) {
    const width = Math.max(THINNEST, at(to) - at(from));
    bars.append(drawn('rect', { 'data-span': name, x: at(from), width, y: name === 'typing' ? 2 : 20, height: 12 }));
    list.append(entry(name, label, seconds(to - from)));
  }
  if (cold != null) {
    bars.append(drawn('line', { 'data-span': 'cold', x1: at(cold), x2: at(cold), y1: 0, y2: 36 }));
    list.append(entry('cold', 'First text, had it been cold', `about ${seconds(cold)}`));
  }
  figure.append(bars, list);
  return figure;
}

/** @param {string} name @param {string} label @param {string} value */
function entry(name, label, value) {
  const [row, term, said] = ['div', 'dt', 'dd'].map((tag) => document.createElement(tag));
  row.dataset.span = name;
  term.textContent = label;
  said.textContent = value;
  row.append(term, said);
  return row;
}
