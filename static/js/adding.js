// @ts-check
/**
 * Where something new to ask about comes in: a button, a drop anywhere on the page, a paste. What happens then is in
 * uploads.js, which is loaded when it is first needed.
 */
import { Problem } from './api.js';
import { notice } from './notice.js';

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('adding'));
const question = /** @type {HTMLTextAreaElement|null} */ (document.getElementById('question'));

/** @type {Promise<import('./uploads.js').Adding>|null} */
let made = null;

/** @type {HTMLElement|null} has the focus when the dialog is closed */
let next = question;

/**
 * @param {(adding: import('./uploads.js').Adding) => unknown} [act] what to begin with
 * @param {HTMLElement|null} [after] has the focus afterwards
 */
export async function open(act, after = question) {
  let adding;
  try {
    made ??= import('./uploads.js').then(({ Adding }) => new Adding(dialog));
    adding = await made;
  } catch (error) {
    made = null;
    return notice.say(Problem.from(error).sentence, { label: 'Try again', act: () => open(act, after) });
  }
  // Not before: what is typed or chosen in a dialog without its script would be lost.
  if (!dialog.open) {
    next = after;
    dialog.showModal();
  }
  await act?.(adding);
}

/** @param {DataTransfer|null} brought */
const hasFiles = (brought) => Boolean(brought?.types.includes('Files'));

for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('.add'))) {
  button.addEventListener('click', () => open(undefined, button));
}

/** @type {EventTarget|null} the last one entered: each crossing of an element's border leaves one and enters another */
let over = null;

addEventListener('dragenter', (event) => {
  if (!hasFiles(event.dataTransfer)) return;
  over = event.target;
  document.body.classList.add('dropping');
});
addEventListener('dragleave', (event) => {
  if (event.target === over) document.body.classList.remove('dropping');
});
addEventListener('dragover', (event) => {
  if (!hasFiles(event.dataTransfer)) return;
  event.preventDefault();
  document.body.classList.add('dropping');
});
addEventListener('drop', () => document.body.classList.remove('dropping'));
// Files that were dropped or pasted, also before this was there: boot.js takes them.
addEventListener('brought', (event) => open((adding) => adding.takeEntries(/** @type {CustomEvent} */ (event).detail)));
dialog.addEventListener('close', () => next?.focus());
