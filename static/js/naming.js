// @ts-check
/** Documents that an answer names in its text: the code that does leads there. Fetched with the first whole answer. */
import { insideOf, opens } from './contexts.js';

/** The number of the one that is called `path`, or ends with it. @param {import('./contexts.js').Inside['titles']} titles @param {string} path */
function find(titles, path) {
  const called = titles.findIndex(({ title }) => title === path);
  const ending = called < 0 ? titles.flatMap(({ title }, number) => (title.endsWith(`/${path}`) ? number : [])) : [called];
  return ending.length === 1 ? ending[0] : -1;
}

const PLACE = /^(.+?)(?::(\d{1,9})(?:[-–](\d{1,9}))?)?$/;
const LINES = /^, lines? (\d{1,9})(?:[-–](\d{1,9}))?/;

/** Has code in an answer's text that names a document lead there, and to the lines that are said with it.
 * @param {HTMLElement} answer @param {string} context */
export async function lead(answer, context) {
  const named = /** @type {HTMLElement[]} */ ([...answer.querySelectorAll('code:not(pre *, a *)')]);
  // What the page has no sheet for is asked about by its old conversations alone.
  if (!named.some((code) => /[./]\w/.test(code.textContent || '')) || !document.querySelector(`details[data-context="${context}"]`)) return;
  const { titles } = await insideOf(context).catch(() => ({ titles: [] }));
  for (const code of named) {
    const [, path = '', ...inside] = PLACE.exec(code.textContent || '') ?? [];
    const number = find(titles, path);
    if (number < 0) continue;
    const [first, last = first] = inside[0] ? inside : LINES.exec(code.nextSibling?.textContent || '')?.slice(1) ?? [];
    opens(code, context, number, titles[number].title);
    if (first) Object.assign(code.dataset, { first, last });
    // A button proper would be one piece, which no line breaks and nobody selects.
    Object.assign(code, { role: 'button', tabIndex: 0 });
  }
}
