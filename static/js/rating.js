// @ts-check
/** Whether an answer is good, as its reader says. Whoever runs this sees how many are, and not which. */
import { call, Problem } from './api.js';
import { drawn } from './html.js';

const SAID = { good: 'A good answer', bad: 'A bad answer' };
const THUMB = 'M3 11h4v10H3zM7 11.5 11 3c1.8 0 2.7 1.3 2.4 3l-.6 3.5H19c1.4 0 2.3 1.2 2 2.6l-1.5 7A2.4 2.4 0 0 1 17 21H7';

/** @param {import('./turn.js').Turn} turn @param {(problem: Problem) => void} refused @returns {Node[]} */
export function ratingTools(turn, refused) {
  const tools = Object.entries(SAID).map(([rating, label]) => {
    const button = document.createElement('button');
    Object.assign(button, { type: 'button', title: label, ariaLabel: label });
    button.dataset.rating = rating;
    const icon = drawn('svg', { viewBox: '0 0 24 24', 'aria-hidden': 'true' });
    icon.append(drawn('path', { d: THUMB }));
    button.append(icon);
    // Pressed once more, it is taken back.
    button.addEventListener('click', () => rate(turn.rating === rating ? null : rating));
    return button;
  });

  /** @param {string|null} rating */
  function show(rating) {
    turn.rating = rating;
    for (const tool of tools) tool.ariaPressed = String(tool.dataset.rating === rating);
  }

  let kept = turn.rating;
  let sending = false;

  /** One after the other: what was wanted last is what is kept. @param {string|null} wanted */
  async function rate(wanted) {
    show(wanted);
    if (sending) return;
    sending = true;
    try {
      while (turn.rating !== kept) {
        const { rating } = turn;
        await call('PUT', `/api/turns/${turn.id}/rating`, { rating });
        kept = rating;
      }
    } catch (error) {
      show(kept);
      // Whoever has gone on since has no use for it.
      if (tools[0].isConnected) refused(Problem.from(error));
    }
    sending = false;
  }

  show(turn.rating);
  return tools;
}
