// @ts-check
/**
 * Where something new to ask about comes in: a button, a drop anywhere on the page, a paste. What happens then is in
 * uploads.js, which is loaded when it is first needed.
 */

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('adding'));
const question = /** @type {HTMLTextAreaElement|null} */ (document.getElementById('question'));

/** @type {Promise<import('./uploads.js').Adding>|null} */
let made = null;

/** @param {(adding: import('./uploads.js').Adding) => unknown} [act] */
async function open(act) {
  if (!dialog.open) dialog.showModal();
  made ??= import('./uploads.js').then(({ Adding }) => new Adding(dialog));
  const adding = await made;
  await act?.(adding);
}

/** @param {DataTransfer|null} brought */
const hasFiles = (brought) => Boolean(brought?.types.includes('Files'));

for (const button of document.querySelectorAll('.add')) button.addEventListener('click', () => open());

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
addEventListener('drop', (event) => {
  document.body.classList.remove('dropping');
  const brought = event.dataTransfer;
  if (!brought || !hasFiles(brought)) return;
  event.preventDefault();
  // Only while the event lasts can it be asked what it brought.
  const entries = [...brought.items].map((item) => item.webkitGetAsEntry?.() || item.getAsFile());
  open((adding) => adding.takeEntries(entries.filter((entry) => entry !== null)));
});
addEventListener('paste', (event) => {
  const files = [...(event.clipboardData?.files || [])];
  // What an office program copies comes as a picture beside its text: then the text is meant.
  if (!files.length || event.clipboardData?.types.includes('text/plain')) return;
  event.preventDefault();
  open((adding) => adding.takeFiles(files));
});
dialog.addEventListener('close', () => question?.focus());
