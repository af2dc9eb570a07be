// @ts-check
/** Text to the clipboard, for buttons that say that they copied it. */

const SAID_MS = 1500;

/**
 * @param {string} text @param {Element} shown where the page shows it @param {Element|null} button what was pressed, if it was
 * @param {(news: string) => void} say
 */
export async function copy(text, shown, button, say) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (!selectedAndCopied(text, shown)) return say('It could not be copied. It is selected now.');
  }
  say('Copied.');
  button?.setAttribute('data-reader-copied', '');
  setTimeout(() => button?.removeAttribute('data-reader-copied'), SAID_MS);
}

/** Without a secure connection there is no such thing as a clipboard, only a selection that can be copied. @param {string} text @param {Element} shown */
function selectedAndCopied(text, shown) {
  const given = (/** @type {ClipboardEvent} */ event) => {
    event.preventDefault();
    event.clipboardData?.setData('text/plain', text);
  };
  const held = /** @type {HTMLElement|null} */ (document.activeElement);
  getSelection()?.selectAllChildren(shown);
  document.addEventListener('copy', given);
  const copied = document.execCommand('copy');
  document.removeEventListener('copy', given);
  held?.focus({ preventScroll: true });
  return copied;
}
