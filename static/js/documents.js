// @ts-check
/** A context's documents by their titles, which are fetched when somebody looks: what is named after one opens it (source.js). */
import { call } from './api.js';

/** @typedef {{title: string, bytes: number}} Title */

/** @type {Map<string, Promise<Title[]>>} */
const known = new Map();

/** @param {string} context @returns {Promise<Title[]>} throws a `Problem`; then they are asked for again the next time */
export function titlesOf(context) {
  const titles = known.get(context) ?? call('GET', `/api/contexts/${context}`).then((told) => told.titles);
  known.set(context, titles);
  titles.catch(() => known.delete(context));
  return titles;
}

/** @param {HTMLElement} node that opens document `number` when it is pressed @param {string} context @param {number} number @param {string} title */
export function opens(node, context, number, title) {
  Object.assign(node, { className: 'opens', title });
  Object.assign(node.dataset, { context, document: number });
}
