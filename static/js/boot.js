// @ts-check
/**
 * Here before the first frame, and brings the rest of the page once that is shown, or as soon as somebody does something.
 * What they did until then is not lost: it is held, and done when there is something behind it. A question that was sent is
 * asked, a button that was pressed does what it does. Text goes into its field all the while.
 */
(() => {
  const LATEST_MS = 1000;
  const ONLY_TOUCH = matchMedia('(pointer: coarse)').matches && !matchMedia('(any-pointer: fine)').matches;
  const SIGNS = ['focusin', 'keydown', 'pointerdown', 'dragenter'];

  /** @type {(() => void)[]} what was done, in its order */
  const held = [];

  /** @param {Event} event that may do nothing else, @param {() => void} [act] and what it is to do in the end */
  function hold(event, act) {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (act) held.push(act);
  }

  /** @param {HTMLTextAreaElement} field whose text is on its way, and stays as it was when it was sent */
  function fix(field) {
    field.readOnly = field.value.trim() !== '';
  }

  /** @param {KeyboardEvent} event one that ends an input method's composition is not ours */
  function keyed(event) {
    const { target, key, isComposing, keyCode } = event;
    if (isComposing || keyCode === 229 || !(target instanceof HTMLElement)) return;
    const modified = event.altKey || event.ctrlKey || event.metaKey;
    if (target instanceof HTMLTextAreaElement && key === 'Enter' && !event.shiftKey && !modified && !ONLY_TOUCH) {
      fix(target);
      hold(event, () => /** @type {HTMLElement|null} */ (target.form?.querySelector('[type=submit]'))?.click());
    } else if (event.altKey || (modified && key === 'k') || (/^[/?]$/.test(key) && !target.matches('input, textarea'))) {
      hold(event, () => target.dispatchEvent(new KeyboardEvent(event.type, event)));
    }
  }

  /** @param {Event} event Send can be reached as soon as there is something to send */
  function written({ target }) {
    const send = target instanceof HTMLTextAreaElement && target.form?.querySelector('[type=submit]');
    if (send instanceof HTMLButtonElement) send.disabled = !target.value.trim();
  }

  /** @param {MouseEvent} event */
  function clicked(event) {
    const button = event.target instanceof Element && event.target.closest('button');
    if (!button) return;
    if (button.matches('.send, #another')) document.querySelectorAll('textarea').forEach(fix);
    hold(event, () => button.click());
  }

  /** @param {Event} event */
  function chosen({ target }) {
    if (!(target instanceof HTMLSelectElement || target instanceof HTMLInputElement)) return;
    // Contexts that are the same but for their names have one value.
    const kept = target instanceof HTMLSelectElement ? { selectedIndex: target.selectedIndex } : { value: target.value };
    held.push(() => {
      Object.assign(target, kept);
      target.dispatchEvent(new Event('change', { bubbles: true }));
      target.dispatchEvent(new Event('input', { bubbles: true }));
    });
  }

  /** @param {Event} event files that it brings; only while it lasts can it be asked for them */
  function brought(event) {
    const data = event instanceof DragEvent ? event.dataTransfer : /** @type {ClipboardEvent} */ (event).clipboardData;
    // What an office program copies comes as a picture beside its text: then the text is meant.
    if (!data?.types.includes('Files') || (event.type === 'paste' && data.types.includes('text/plain'))) return;
    event.preventDefault();
    const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() || item.getAsFile()).filter(Boolean);
    const act = () => dispatchEvent(new CustomEvent('brought', { detail: entries }));
    if (holding.signal.aborted) act();
    else held.push(act);
  }

  /** When the first frame is on the screen. A page that nobody sees has none. */
  const shown = () => new Promise((resolve) => {
    if (document.hidden) resolve(null);
    new PerformanceObserver(resolve).observe({ type: 'paint', buffered: true });
    setTimeout(resolve, LATEST_MS);
    for (const sign of SIGNS) addEventListener(sign, resolve, { once: true, capture: true });
  });

  const parsed = () => new Promise((resolve) => {
    if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', resolve);
    else resolve(null);
  });

  /** @param {Element} sheet */
  const arrived = (sheet) => new Promise((resolve) => {
    for (const end of ['load', 'error']) sheet.addEventListener(end, resolve);
  });

  async function bring() {
    await parsed();
    await shown();
    const later = /** @type {HTMLTemplateElement} */ (document.getElementById('later')).content;
    const links = [...later.querySelectorAll('link')];
    const sheets = links.filter((link) => link.rel === 'stylesheet').map(arrived);
    document.head.append(...links);
    await Promise.all(sheets);
    document.body.append(later);
    await import('/static/js/adding.js');
    if (document.getElementById('composer')) await import('/static/js/chat.js');
  }

  function failed() {
    held.length = 0;
    const notice = document.getElementById('notice');
    const [said, again] = notice?.children ?? [];
    if (!notice) return;
    said.textContent = 'The page could not be loaded whole. Copy what you wrote, if you want to keep it.';
    again.textContent = 'Load it again';
    again.addEventListener('click', () => location.reload());
    notice.hidden = false;
  }

  const holding = new AbortController();
  const early = { capture: true, signal: holding.signal };
  addEventListener('keydown', keyed, early);
  addEventListener('input', written, early);
  addEventListener('click', clicked, early);
  addEventListener('change', chosen, early);
  addEventListener('dragover', (event) => event.dataTransfer?.types.includes('Files') && event.preventDefault(), early);
  for (const type of ['drop', 'paste']) addEventListener(type, brought);
  bring().catch(failed).finally(() => {
    holding.abort();
    for (const field of document.querySelectorAll('textarea')) field.readOnly = false;
    for (const act of held) act();
  });
})();
