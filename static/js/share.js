// @ts-check
/** The dialog that shares a conversation by a link, and takes the link back. sidebar.js loads it when somebody opens it. */
import { call, Problem, send } from './api.js';
import { copy } from './clipboard.js';
import { part } from './conversation.js';
import { several } from './numbers.js';

/** @typedef {{path: string, turns: number}} Link */

const NOT_YET = 'Whoever has the link can read what was asked and answered so far, with what it cites. What comes later is not shared, unless you share it, too.';

/** @param {string} news for who does not see it */
const say = (news) => { /** @type {HTMLElement} */ (document.getElementById('spoken')).textContent = news; };

/** @param {string} text @param {() => void} act */
function button(text, act) {
  const node = /** @type {HTMLButtonElement} */ (part('', 'button', text));
  node.type = 'button';
  node.addEventListener('click', act);
  return node;
}

/** @param {{session: string, title: string}} listed @returns {Promise<void>} when the dialog is closed; throws a `Problem` */
export async function share({ session, title }) {
  const { link, turns } = await call('GET', `/api/sessions/${session}`);
  const ended = turns.filter((/** @type {any} */ { state }) => state !== 'running').length;
  const dialog = /** @type {HTMLDialogElement} */ (part('small', 'dialog'));
  const heading = Object.assign(part('', 'h2', `Share “${title}”`), { id: 'share-title' });
  const about = part('', 'p');
  const field = document.createElement('input');
  Object.assign(field, { readOnly: true, ariaLabel: 'The link' });
  field.addEventListener('focus', () => field.select());
  const failed = part('', 'p');
  failed.role = 'alert';
  const ends = part('ends', 'div');
  dialog.setAttribute('aria-labelledby', heading.id);
  dialog.append(heading, about, field, failed, ends);
  document.body.append(dialog);

  /** @param {() => Promise<Link|null>} change of the link */
  async function become(change) {
    failed.textContent = '';
    try {
      show(await change());
    } catch (error) {
      failed.textContent = Problem.from(error).sentence;
    }
  }
  const make = () => become(() => call('POST', `/api/sessions/${session}/link`));
  const take = () => become(() => send('DELETE', `/api/sessions/${session}/link`).then(() => null));

  /** @param {Link|null} known */
  function show(known) {
    field.hidden = !known;
    const close = button(known ? 'Close' : 'Cancel', () => dialog.close());
    if (!known) {
      about.textContent = NOT_YET;
      const first = button('Make a link', make);
      ends.replaceChildren(close, first);
      return first.focus();
    }
    const since = ended - known.turns;
    field.value = new URL(known.path, location.href).href;
    about.textContent = `Whoever has this link can read ${several(known.turns, 'question', 'questions')} and what was answered.${since > 0 ? ' What came since is not shared.' : ''}`;
    const copying = button('Copy the link', () => copy(field.value, field, copying, say));
    copying.className = 'copy';
    const further = since > 0 ? [button('Share what came since', make)] : [];
    ends.replaceChildren(button('Stop sharing', take), ...further, close, copying);
    copying.focus();
  }

  dialog.showModal();
  show(link);
  await new Promise((closed) => dialog.addEventListener('close', closed, { once: true }));
  dialog.remove();
}
