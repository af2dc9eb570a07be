// @ts-check
/** Lists that a browser keeps for this page. It may refuse to, and then they are known until the page goes. */

/** @param {'localStorage'|'sessionStorage'} where @param {string} key @returns {any[]} */
export function recall(where, key) {
  try {
    return JSON.parse(window[where].getItem(key) || '[]');
  } catch {
    return [];
  }
}

/** @param {'localStorage'|'sessionStorage'} where @param {string} key @param {Iterable<any>} list @returns {number} how long it is, as it is kept */
export function retain(where, key, list) {
  const text = JSON.stringify([...list]);
  try {
    window[where].setItem(key, text);
  } catch {
    // It has no room, or keeps nothing for a page.
  }
  return text.length;
}
