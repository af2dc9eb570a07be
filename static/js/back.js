// @ts-check
/**
 * The page's history. Back closes what lies over the page before it leaves the page: as long as something does, there is an
 * entry for it.
 */

/** @type {(() => void)[]} how each is closed, the uppermost last */
const covers = [];
let address = '';
let leaving = false;

const over = () => Boolean(history.state?.over);

function enter() {
  // Nobody is to be moved in what they read.
  history.scrollRestoration = 'manual';
  history.pushState({ over: true }, '');
  address = location.href;
}

/** Something lies over the page now. @param {() => void} close */
export function cover(close) {
  if (covers.includes(close)) return;
  covers.push(close);
  if (!over()) enter();
}

/** It was closed, maybe on the way to elsewhere, which then has its entry. @param {() => void} close */
export function uncover(close) {
  const at = covers.indexOf(close);
  if (at < 0) return;
  covers.splice(at, 1);
  setTimeout(() => {
    if (covers.length || leaving || !over()) return;
    leaving = true;
    history.back();
  });
}

/** @param {string} to where the page is from now on @param {boolean} further a step, or only another name for this place */
export function visit(to, further) {
  if (further && !over()) history.pushState(null, '', to);
  else history.replaceState(further ? null : history.state, '', to);
  address = location.href;
}

addEventListener('popstate', (event) => {
  const close = leaving ? null : covers.at(-1);
  if (!leaving && !close) return;
  event.stopImmediatePropagation();
  leaving = false;
  if (location.href !== address) history.replaceState(null, '', address);
  close?.();
  if (covers.length) enter();
});
