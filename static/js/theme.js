// @ts-check
/** Light or dark: as the system says, or as the reader chooses. The server hears it too, so that the next page begins so. */

const A_YEAR_S = 31_536_000;

export function offerThemes() {
  const root = document.documentElement;
  for (const choice of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('#theme input'))) {
    choice.checked = choice.value === (root.dataset.theme ?? '');
    choice.addEventListener('change', () => {
      // One that was chosen before this was here is told of late.
      choice.checked = true;
      if (choice.value) root.dataset.theme = choice.value;
      else delete root.dataset.theme;
      document.cookie = `headstart_theme=${choice.value}; path=/; max-age=${choice.value ? A_YEAR_S : 0}; samesite=lax`;
      frame(choice.value);
    });
  }
}

/** The browser's own bars, and what it shows of a page that comes. @param {string} theme */
function frame(theme) {
  for (const meta of /** @type {NodeListOf<HTMLMetaElement>} */ (document.querySelectorAll('meta[name=theme-color]'))) {
    meta.content = (theme || meta.media).includes('dark') ? '#181817' : '#fcfbf9';
  }
}
