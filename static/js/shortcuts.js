// @ts-check
/** Keys for what is done often, and the dialog that lists them. Single keys only where nothing is being typed. */

/** A screen's own keyboard has an Enter, but no Shift with it. */
export const onlyTouch = () => matchMedia('(pointer: coarse)').matches && !matchMedia('(any-pointer: fine)').matches;

/** Whether it is an Enter that sends what is written, and not one that breaks the line or ends an input method's composition.
 * @param {KeyboardEvent} event */
export function sends({ key, shiftKey, ctrlKey, metaKey, isComposing, keyCode }) {
  if (key !== 'Enter' || shiftKey || isComposing || keyCode === 229) return false;
  return ctrlKey || metaKey || !onlyTouch();
}

/** @type {Record<string, string>} by the key's place, which says the same on every layout */
const WITH_ALT = { KeyN: 'fresh', KeyB: 'sidebar', KeyC: 'copy', KeyI: 'focus', KeyE: 'edit', KeyA: 'again', KeyT: 'another', KeyQ: 'quote' };

/** @param {EventTarget|null} target */
const typing = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** Opens a menu below what opens it, or where there is room. @param {HTMLElement} menu @param {HTMLElement} by */
export function openMenu(menu, by) {
  const { bottom, right } = by.getBoundingClientRect();
  menu.showPopover();
  menu.style.left = `${Math.max(8, right - menu.offsetWidth)}px`;
  menu.style.top = `${Math.max(8, Math.min(bottom + 4, innerHeight - menu.offsetHeight - 8))}px`;
  /** @type {HTMLElement|null} */ (menu.querySelector('button:enabled:not([hidden])'))?.focus();
}

/** Has the arrows, Home and End go through what can be chosen in a menu, and Tab leave it. @param {HTMLElement} menu */
export function stepThrough(menu) {
  menu.addEventListener('keydown', (event) => {
    if (event.key === 'Tab') menu.hidePopover();
    const stops = /** @type {HTMLElement[]} */ ([...menu.querySelectorAll('a, button:enabled')]).filter((one) => !one.hidden);
    const at = stops.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    stops.at(to % stops.length)?.focus();
  });
}

/** @param {Record<string, () => void>} does */
export function listenForKeys(does) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('keys'));
  const help = () => dialog.open || dialog.showModal();
  document.getElementById('help')?.addEventListener('click', help);
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  addEventListener('keydown', (event) => {
    if (event.isComposing || event.defaultPrevented || document.querySelector('dialog[open]')) return;
    const { altKey, ctrlKey, metaKey, shiftKey, code, key } = event;
    let action = null;
    if ((ctrlKey || metaKey) && !altKey && !shiftKey && key.toLowerCase() === 'k') action = does.search;
    else if (altKey && !ctrlKey && !metaKey && !shiftKey) action = does[WITH_ALT[code]];
    else if (!altKey && !ctrlKey && !metaKey && !typing(event.target)) action = { '?': help, '/': does.focus }[key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
