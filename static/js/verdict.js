// @ts-check
/** What the cache did for a turn, as one quiet line. Pure; says only what the verdict knows. */
import { count, money, seconds } from './numbers.js';
import { sentence } from './reasons.js';

/** @typedef {Record<string, any>} Verdict */

const WORTH_SAYING_MS = 300;

const CACHE = { hit: 'cache hit', partial: 'partial hit', miss: 'cache miss', uncacheable: 'not cacheable' };

/** @param {string} said */
const capitalized = (said) => said[0].toUpperCase() + said.slice(1);

/** @param {Verdict} verdict @returns {string[]} the facts after the cache's word */
export function facts(verdict) {
  const { cache, reason, read, written, waited_ms: waited, ttft_ms: first, cold_ms: cold, cost_usd: cost } = verdict;
  const out = [];
  // Not for a pointer alone to find: why it was no hit is said of every one.
  if (reason) out.push(sentence(reason).replace(/\.$/, ''));
  if (first != null) out.push(`First text ${seconds(first)}`);
  if (waited >= WORTH_SAYING_MS) out.push(`of which ${seconds(waited)} for the warm-up to end`);
  if (cold != null && first != null && cold > first && (cache === 'hit' || cache === 'partial')) {
    out.push(`would have been about ${seconds(cold)} cold`);
  }
  if (read != null) out.push(`read ${count(read)}`);
  if (written != null) out.push(`wrote ${count(written)}`);
  if (cost != null) out.push(money(cost));
  return out;
}

/** @param {Verdict} verdict @returns {string} */
export const cacheOf = ({ cache }) => CACHE[/** @type {keyof typeof CACHE} */ (cache)] || String(cache);

/** @param {Verdict} verdict @returns {string[]} more of why it was no hit, and what the line's numbers count */
export function inFull(verdict) {
  const { detail, diagnosed, read, written, uncached, output, saved_usd: saved } = verdict;
  const parts = [];
  if (read != null) parts.push(`${count(read)} tokens read from the cache`);
  if (written != null) parts.push(`${count(written)} written to it`);
  if (uncached != null) parts.push(`${count(uncached)} read outside it`);
  if (output != null) parts.push(`${count(output)} of answer`);
  if (saved != null) parts.push(saved < 0 ? `${money(-saved)} more than without it` : `${money(saved)} saved`);
  const type = diagnosed?.cache_miss_reason?.type;
  const theirs = type && `The upstream’s own diagnosis: ${String(type).replaceAll('_', ' ')}`;
  return [detail && capitalized(detail), theirs, parts.join(', ')].filter(Boolean);
}
