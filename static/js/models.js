// @ts-check
/** The menu of models that a question can be asked again of. chat.js loads it when somebody opens it. */
import { openMenu, stepThrough } from './shortcuts.js';

/**
 * @param {HTMLElement} by what it is opened from @param {{value: string, text: string, small: boolean}[]} models
 * @param {string} own the one that is asked without a choice @param {(model: string) => void} chosen
 * @param {AbortSignal} signal when the question is on the page no more
 */
export function chooseModel(by, models, own, chosen, signal) {
  const menu = document.createElement('div');
  Object.assign(menu, { className: 'menu-sheet models', popover: 'auto', ariaLabel: 'Ask again of', role: 'group' });
  for (const { value, text, small } of models) {
    const button = document.createElement('button');
    Object.assign(button, { type: 'button', textContent: text, disabled: small });
    button.hidden = value === own;
    button.addEventListener('click', () => {
      menu.hidePopover();
      chosen(value);
    });
    menu.append(button);
  }
  stepThrough(menu);
  menu.addEventListener('toggle', (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === 'closed') menu.remove();
  });
  signal.addEventListener('abort', () => menu.remove(), { once: true });
  document.body.append(menu);
  openMenu(menu, by);
}
