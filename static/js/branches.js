// @ts-check
/** What can be done with a question that was asked: go to another that was asked in its place, or ask it again or differently. */
import { sends } from './shortcuts.js';

/** @typedef {{edit?: (turn: import('./turn.js').Turn, question: string) => void, go?: (session: string, from: import('./turn.js').Turn) => void, other?: (turn: import('./turn.js').Turn, by: HTMLElement) => void}} On `other`: another model is to be chosen */

/** @param {string} text @param {string} label @param {(event: Event) => void} act @param {boolean} [disabled] */
function button(text, label, act, disabled = false) {
  const node = document.createElement('button');
  Object.assign(node, { type: 'button', textContent: text, title: label, disabled });
  if (label !== text) node.ariaLabel = label;
  node.addEventListener('click', act);
  return node;
}

/** @param {import('./turn.js').Turn} turn @param {On} on @param {() => void} again @param {() => void} edit @returns {Node[]} */
export function questionTools(turn, on, again, edit) {
  const { branches, session } = turn;
  const tools = [];
  const { go } = on;
  const at = session ? branches.indexOf(session) : -1;
  if (go && branches.length > 1 && at >= 0) {
    const count = document.createElement('span');
    count.textContent = `${at + 1}/${branches.length}`;
    count.ariaLabel = `Question ${at + 1} of ${branches.length} asked here`;
    count.role = 'img';
    tools.push(
      button('‹', 'The question before that was asked here', () => go(branches[at - 1], turn), at === 0),
      count,
      button('›', 'The next question that was asked here', () => go(branches[at + 1], turn), at === branches.length - 1),
    );
  }
  const { other } = on;
  if (on.edit) {
    tools.push(
      button('Ask again', 'Ask again, word for word', again),
      ...(other ? [button('Other model', 'Ask again of another model', ({ currentTarget }) => other(turn, /** @type {HTMLElement} */ (currentTarget)))] : []),
      button('Edit', 'Edit this question and ask again', edit),
    );
  }
  return tools;
}

/**
 * Puts an editor in the place of a question.
 * @param {HTMLElement} question @param {string} text @param {(text: string) => void} ask @param {() => void} ended
 */
export function editQuestion(question, text, ask, ended) {
  const form = document.createElement('form');
  form.className = 'editing';
  const area = document.createElement('textarea');
  area.defaultValue = text;
  area.setSelectionRange(text.length, text.length);
  area.ariaLabel = 'Ask this instead';
  area.rows = Math.min(8, 1 + text.split('\n').length);
  const close = () => {
    form.replaceWith(question);
    ended();
  };
  const send = document.createElement('button');
  send.textContent = 'Ask this instead';
  form.append(area, button('Cancel', 'Cancel', close), send);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!area.value.trim()) return;
    form.replaceWith(question);
    ask(area.value);
  });
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !event.isComposing) {
      event.stopPropagation();
      close();
    }
    if (event.target === area && sends(event)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  question.replaceWith(form);
  area.focus();
  form.scrollIntoView({ block: 'nearest' });
}
