// @ts-check
/**
 * What the page measured before it sent a question, which no server can know: kept in the browser, for as long as the tab is
 * there.
 */
import { recall, retain } from './kept.js';

/** @typedef {{typing: number, warmFrom: number|null, warmTo: number|null}} Clock in milliseconds: how long the question was
 *   typed, and when the warming for it began and ended, counted from when it was sent; `warmTo` is null if it went on then */

const KEY = 'headstart.clocks';
const MOST = 500;

/** @type {Map<string, Clock>} by turn, the oldest first */
const clocks = new Map(recall('sessionStorage', KEY));

/** @param {string} turn @returns {Clock|null} */
export const clockOf = (turn) => clocks.get(turn) ?? null;

/** @param {string} turn @param {Clock} clock */
export function keep(turn, clock) {
  clocks.set(turn, clock);
  for (const [oldest] of [...clocks].slice(0, -MOST)) clocks.delete(oldest);
  retain('sessionStorage', KEY, clocks);
}
