// @ts-check
/** The dialog that shares a conversation by a link, and takes links back. sidebar.js loads it when somebody opens it. */
import { call, Problem, send } from './api.js';
import { copy } from './clipboard.js';
import { part } from './conversation.js';
import { several } from './numbers.js';

/** @typedef {{path: string, turns: number}} Link */

/** @param {string} text @param {() => void} act */
function button(text, act) {
  const node = /** @type {HTMLButtonElement} */ (part('', 'button', text));
  node.type = 'button';
  node.addEventListener('click', act);
  return node;
}

/** @param {any[]} turns @returns {number} how many there are to read: what came to nothing is not passed on */
const readable = (turns) => turns.filter(({ state, answer }) => state !== 'running' && (state !== 'failed' || answer)).length;

/** @param {{session: string, title: string}} listed @returns {Promise<void>} when the dialog is closed; throws a `Problem` */
export async function share({ session, title }) {
  const look = () => call('GET', `/api/sessions/${session}`);
  const found = await look();
  const dialog = /** @type {HTMLDialogElement} */ (part('small', 'dialog'));
  const heading = Object.assign(part('', 'h2', `Share “${title}”`), { id: `share-${session}` });
  const about = part('', 'p');
  const field = document.createElement('input');
  Object.assign(field, { readOnly: true, ariaLabel: 'The link' });
  field.addEventListener('focus', () => field.select());
  // What lies outside of a dialog is not heard while that is open.
  const said = part('', 'p');
  said.role = 'status';
  const ends = part('ends', 'div');
  dialog.setAttribute('aria-labelledby', heading.id);
  dialog.append(heading, about, field, said, ends);
  document.body.append(dialog);

  /** @param {string} news */
  const say = (news) => { said.textContent = news; };

  /** @param {() => Promise<unknown>} change of links */
  async function become(change) {
    say('');
    try {
      await change();
    } catch (error) {
      say(Problem.from(error).sentence);
    }
    const now = await look().catch(() => null);
    if (now) show(now);
  }
  const make = () => become(() => call('POST', `/api/sessions/${session}/link`));
  /** @param {string[]} sessions whose links are taken back; one that is gone has none */
  const take = (sessions) => become(() => Promise.all(sessions.map((one) => send('DELETE', `/api/sessions/${one}/link`).catch((error) => {
    if (Problem.from(error).status !== 404) throw error;
  }))));

  /** @param {{link: Link|null, turns: any[], linked_branches?: string[]}} session */
  function show({ link: known, turns, linked_branches: others = [] }) {
    field.hidden = !known;
    const lines = [];
    const buttons = [];
    let first = button('Make a link', make);
    if (known) {
      const shared = readable(turns.slice(0, known.turns));
      const since = readable(turns.slice(known.turns)) > 0;
      lines.push(`Whoever has this link can read ${several(shared, 'question', 'questions')} and what was answered.`);
      if (since) lines.push('What came since is not shared.');
      field.value = new URL(known.path, location.href).href;
      buttons.push(button('Stop sharing', () => take([session])));
      if (since) buttons.push(button('Share what came since', make));
      first = button('Copy the link', () => copy(field.value, field, first, say));
      first.className = 'copy';
    } else {
      lines.push('Whoever has the link can read what was asked and answered so far, with what it cites. What comes later is not shared, unless you share it, too.');
    }
    if (others.length) {
      lines.push(`${several(others.length, 'other branch', 'other branches')} of it ${others.length === 1 ? 'is' : 'are'} shared, too.`);
      buttons.push(button('Stop sharing others', () => take(others)));
    }
    about.textContent = lines.join(' ');
    ends.replaceChildren(...buttons, button(known ? 'Close' : 'Cancel', () => dialog.close()), first);
    first.focus();
  }

  dialog.showModal();
  show(found);
  await new Promise((closed) => dialog.addEventListener('close', closed, { once: true }));
  dialog.remove();
}
