// @ts-check
/** The menu of models that a question can be asked again of. chat.js loads it when somebody opens it. */
import { stepThrough } from './shortcuts.js';

/**
 * @param {HTMLElement} by what it is opened from @param {{value: string, text: string, small: boolean}[]} models
 * @param {string} own the one that has answered already @param {(model: string) => void} chosen
 */
export function chooseModel(by, models, own, chosen) {
  const menu = document.createElement('div');
  Object.assign(menu, { className: 'menu-sheet models', popover: 'auto', ariaLabel: 'Ask again of', role: 'group' });
  for (const { value, text, small } of models) {
    const button = document.createElement('button');
    Object.assign(button, { type: 'button', textContent: text, disabled: small });
    // To ask it once more is a thing of its own.
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
  document.body.append(menu);
  menu.showPopover();
  const { bottom, right } = by.getBoundingClientRect();
  menu.style.left = `${Math.max(8, right - menu.offsetWidth)}px`;
  menu.style.top = `${Math.max(8, Math.min(bottom + 4, innerHeight - menu.offsetHeight - 8))}px`;
  /** @type {HTMLElement|null} */ (menu.querySelector('button:enabled:not([hidden])'))?.focus();
}
