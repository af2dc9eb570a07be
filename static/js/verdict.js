// @ts-check
/** What the cache did for a turn, as one quiet line. Pure; says only what the verdict knows. */
import { count, money, seconds } from './numbers.js';
import { sentence } from './reasons.js';

/** @typedef {Record<string, any>} Verdict */

const WORTH_SAYING_MS = 300;

const CACHE = { hit: 'cache hit', partial: 'partial hit', miss: 'cache miss', uncacheable: 'not cacheable' };

/** @param {Verdict} verdict @returns {string[]} the facts after the cache's word */
export function facts(verdict) {
  const { cache, read, written, waited_ms: waited, ttft_ms: first, cold_ms: cold, cost_usd: cost } = verdict;
  const out = [];
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

/** @param {Verdict} verdict @returns {{word: string, why: string}} */
export function cacheOf(verdict) {
  const word = CACHE[/** @type {keyof typeof CACHE} */ (verdict.cache)] || String(verdict.cache);
  return { word, why: sentence(verdict.reason) };
}

/** @param {Verdict} verdict what the line's numbers count, for who wants to know */
export function inFull(verdict) {
  const parts = [];
  if (verdict.read != null) parts.push(`${count(verdict.read)} tokens read from the cache`);
  if (verdict.written != null) parts.push(`${count(verdict.written)} written to it`);
  if (verdict.uncached != null) parts.push(`${count(verdict.uncached)} read outside it`);
  if (verdict.output != null) parts.push(`${count(verdict.output)} of answer`);
  if (verdict.saved_usd != null) parts.push(`${money(verdict.saved_usd)} saved`);
  return parts.join(', ');
}
