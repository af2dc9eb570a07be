// @ts-check
/** The dialog that asks before something is erased. There is one, whatever it is about. */

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('deleting'));
const [title, what] = /** @type {HTMLElement[]} */ ([...dialog.querySelectorAll('h2, p')]);

dialog.querySelector('[type=button]')?.addEventListener('click', () => dialog.close());

/** @param {string} question @param {string} warning @returns {Promise<boolean>} whether it is to be deleted */
export function confirmed(question, warning) {
  title.textContent = question;
  what.textContent = warning;
  // Escape leaves what was answered before.
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener('close', () => answer(dialog.returnValue === 'delete'), { once: true });
  });
}
