// @ts-check
/**
 * What is being written: one text for each conversation, and one for a new conversation over each context. Kept in the browser,
 * for as long as the tab is there.
 */
import { recall, retain } from './kept.js';

const KEY = 'headstart.drafts';
const MOST = 20;
const MOST_CHARS = 500_000;

/** @type {Map<string, string>} by what it is written for, the one that was left first first */
const drafts = new Map(recall('sessionStorage', KEY));

/** @param {string} about */
export const draftOf = (about) => drafts.get(about) ?? '';

/** @param {string} about @param {string} text none: there is no draft any more */
export function keepDraft(about, text) {
  if (!drafts.delete(about) && !text) return;
  if (text) drafts.set(about, text);
  let chars = retain('sessionStorage', KEY, drafts);
  for (const oldest of [...drafts.keys()].slice(0, -1)) {
    if (drafts.size <= MOST && chars <= MOST_CHARS) break;
    drafts.delete(oldest);
    chars = retain('sessionStorage', KEY, drafts);
  }
}
