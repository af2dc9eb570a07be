// @ts-check
/** Keeps the dashboard current while someone looks at it: fetches the page again and puts in what has changed. */
import { trusted } from './html.js';

const EVERY_MS = 5000;
let timer = 0;

/** @param {string} words */
const say = (words) => { /** @type {HTMLElement} */ (document.getElementById('live')).textContent = words; };

/** @param {Document} page */
const parts = (page) => [...page.querySelectorAll('[data-part]')];

/** What a reader has opened, scrolled or focused in `part`, to be put back in the part that takes its place.
 * @param {Element} part @returns {(part: Element) => void} */
function place(part) {
  /** @param {Element} part */
  const stops = (part) => [...part.querySelectorAll('summary, a, [tabindex]')];
  const open = [...part.querySelectorAll('details')].map((details) => details.open);
  const scrolled = [...part.querySelectorAll('.scroll')].map((region) => [region.scrollLeft, region.scrollTop]);
  const focused = document.activeElement ? stops(part).indexOf(document.activeElement) : -1;
  return (part) => {
    part.querySelectorAll('details').forEach((details, n) => { details.open = open[n] ?? false; });
    part.querySelectorAll('.scroll').forEach((region, n) => region.scrollTo(scrolled[n]?.[0] ?? 0, scrolled[n]?.[1] ?? 0));
    const stop = stops(part)[focused];
    if (stop instanceof HTMLElement) stop.focus({ preventScroll: true });
  };
}

/** @param {Document} next */
function show(next) {
  const [old, fresh] = [parts(document), parts(next)];
  // The first call, or the first pace, brings parts that were not there.
  if (String(old.map(name)) !== String(fresh.map(name))) {
    const places = new Map(old.map((part) => [name(part), place(part)]));
    document.getElementById('main')?.replaceChildren(...(next.getElementById('main')?.childNodes ?? []));
    parts(document).forEach((part) => places.get(name(part))?.(part));
    return;
  }
  old.forEach((part, n) => {
    const putBack = place(part);
    if (sameBut(part, fresh[n])) return;
    part.replaceChildren(...fresh[n].childNodes);
    putBack(part);
  });
}

/** @param {Element} part */
const name = (part) => part.getAttribute('data-part');

/** Whether two parts are the same but for what a reader has opened. @param {Element} part @param {Element} fresh */
function sameBut(part, fresh) {
  const closed = /** @type {Element} */ (part.cloneNode(true));
  for (const details of closed.querySelectorAll('details')) details.open = false;
  return closed.innerHTML === fresh.innerHTML;
}

async function refresh() {
  try {
    const response = await fetch(location.href, { headers: { accept: 'text/html' } });
    if (!response.ok) throw new Error(String(response.status));
    show(new DOMParser().parseFromString(trusted(await response.text()), 'text/html'));
    say('');
  } catch {
    say('The server cannot be reached. Trying again…');
  }
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (document.visibilityState === 'visible') timer = setTimeout(refresh, EVERY_MS);
}

document.addEventListener('visibilitychange', () => {
  clearTimeout(timer);
  if (document.visibilityState === 'visible') refresh();
});
schedule();
