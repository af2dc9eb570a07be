// @ts-check
/**
 * Answer text to DOM nodes: paragraphs, headings, lists, quotes, fenced code, and inline code, bold and italics. Text
 * goes in as text alone, so nothing in it can become markup. What it does not know stays as it was written.
 */

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)/;
const HEADING = /^(#{1,6})\s+(\S.*)/;
const ITEM = /^( {0,3}(?:[-*+]|\d{1,9}[.)]) {1,3})(?=\S)/;
const RULE = /^ {0,3}([-*_])( *\1){2,} *$/;

/** @param {string} line @param {string} fence */
const closes = (line, fence) => line.trim().startsWith(fence) && line.trim().replaceAll(fence[0], '') === '';

/** @param {string} tag @param {...(Node|string)} inside */
function make(tag, ...inside) {
  const node = document.createElement(tag);
  node.append(...inside);
  return node;
}

/** @param {string} language @param {string} text */
function codeBlock(language, text) {
  const code = make('code', document.createTextNode(text));
  const pre = make('pre', code);
  pre.tabIndex = 0;
  const figure = make('figure', ...(language ? [make('figcaption', language)] : []), pre);
  figure.className = 'code';
  return figure;
}

/**
 * Bold, italics and code of one block. A mark that nothing closes stays text, and is looked for only once.
 * @param {string} text @returns {(Node|string)[]}
 */
function inline(text) {
  /** @type {(Node|string)[]} */
  const out = [];
  const missing = new Set();
  let plain = 0;
  for (let at = 0; at < text.length; ) {
    const mark = text[at] === '`' || text[at] === '*' ? runOf(text, at) : '';
    const found = mark && !missing.has(mark) ? closed(text, at, mark) : null;
    if (mark && !found && opens(text, at, mark)) missing.add(mark);
    if (!found) {
      at += mark.length || 1;
      continue;
    }
    out.push(text.slice(plain, at), found.node);
    at = plain = found.end;
  }
  out.push(text.slice(plain));
  return out.filter((part) => part !== '');
}

/** @param {string} text @param {number} at */
function runOf(text, at) {
  let end = at;
  while (text[end] === text[at]) end++;
  return text.slice(at, end);
}

/** @param {string} text @param {number} at @param {string} mark */
const opens = (text, at, mark) => mark[0] === '`' || /\S/.test(text[at + mark.length] || ' ');

/** @param {string} text @param {number} at @param {string} mark @returns {{node: Node, end: number}|null} */
function closed(text, at, mark) {
  if ((mark[0] === '*' && mark.length > 3) || !opens(text, at, mark)) return null;
  const from = at + mark.length;
  for (let end = text.indexOf(mark, from); end >= 0; end = text.indexOf(mark, end)) {
    const run = runOf(text, end);
    if (run === mark && (mark[0] === '`' || /\S/.test(text[end - 1]))) {
      const inside = text.slice(from, end);
      return { node: mark[0] === '`' ? make('code', unpadded(inside)) : emphasis(mark, inside), end: end + mark.length };
    }
    end += run.length;
  }
  return null;
}

/** @param {string} code one space on either side is there only to keep backticks apart */
const unpadded = (code) => (/^ .*\S.* $/s.test(code) ? code.slice(1, -1) : code);

/** @param {string} mark @param {string} inside */
function emphasis(mark, inside) {
  if (mark.length === 3) return make('strong', make('em', ...inline(inside)));
  return make(mark.length === 2 ? 'strong' : 'em', ...inline(inside));
}

/** @typedef {{at: number, node: Node}} Block `at` is the index of its first line */

const DEEPEST = 8;

/**
 * Greedy, line by line: what a block is depends on its own lines and the one after it, and on nothing before.
 * @param {string[]} lines @param {number} [depth] @returns {Block[]}
 */
function parse(lines, depth = 0) {
  /** @type {Block[]} */
  const out = [];
  for (let at = 0; at < lines.length; ) {
    if (lines[at].trim() === '') at++;
    else {
      const { end, node } = block(lines, at, depth);
      out.push({ at, node });
      at = end;
    }
  }
  return out;
}

/** @param {string[]} lines @param {number} at @param {number} depth @returns {{end: number, node: Node}} */
function block(lines, at, depth) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  const heading = HEADING.exec(line);
  let end = at + 1;
  if (fence) {
    while (end < lines.length && !closes(lines[end], fence[1])) end++;
    return { end: end + 1, node: codeBlock(fence[2], lines.slice(at + 1, end).join('\n')) };
  }
  if (heading) return { end, node: make(`h${Math.min(6, heading[1].length + 2)}`, ...inline(heading[2])) };
  if (RULE.test(line)) return { end, node: make('hr') };
  if (line[0] === '>' && depth < DEEPEST) {
    while (lines[end]?.[0] === '>') end++;
    const quoted = lines.slice(at, end).map((each) => each.replace(/^> ?/, ''));
    return { end, node: make('blockquote', ...nodes(quoted, depth + 1)) };
  }
  if (ITEM.test(line) && depth < DEEPEST) {
    end = endOfList(lines, at);
    return { end, node: list(lines.slice(at, end), depth + 1) };
  }
  while (end < lines.length && !interrupts(lines[end])) end++;
  return { end, node: make('p', ...inline(lines.slice(at, end).join('\n'))) };
}

/** @param {string[]} lines @param {number} [depth] @returns {Node[]} */
const nodes = (lines, depth) => parse(lines, depth).map(({ node }) => node);

/** @param {string} line ends a paragraph */
const interrupts = (line) => line.trim() === '' || line[0] === '>' || FENCE.test(line) || HEADING.test(line) || ITEM.test(line);

/** @param {string[]} lines @param {number} at the list's first line */
function endOfList(lines, at) {
  let end = at + 1;
  for (; end < lines.length; end++) {
    const goesOn = ITEM.test(lines[end]) || /^ {2,}/.test(lines[end]) || lines[end].trim() === '';
    if (!goesOn && (lines[end - 1].trim() === '' || interrupts(lines[end]))) break;
  }
  return end;
}

/** @param {string[]} lines @param {number} depth */
function list(lines, depth) {
  const number = /^ *(\d+)/.exec(lines[0]);
  const node = document.createElement(number ? 'ol' : 'ul');
  if (number && number[1] !== '1' && node instanceof HTMLOListElement) node.start = Number(number[1]);
  /** @type {string[]} */
  let item = [];
  let indent = 0;
  const close = () => item.length && node.append(make('li', ...tight(nodes(item, depth))));
  for (const line of lines) {
    const mark = ITEM.exec(line);
    if (mark && (!item.length || line.search(/\S/) < indent)) {
      close();
      indent = mark[1].length;
      item = [line.slice(indent)];
    } else {
      item.push(line.slice(Math.min(indent, Math.max(0, line.search(/\S/)))));
    }
  }
  close();
  return node;
}

/** @param {Node[]} inside an item of one paragraph reads better without a block of its own */
function tight(inside) {
  const [first, ...rest] = inside;
  return first?.nodeName === 'P' && rest.every((node) => node.nodeName !== 'P') ? [...first.childNodes, ...rest] : inside;
}

/** @param {string} text */
const linesOf = (text) => text.split(/\r?\n/);

/** @param {string} text @returns {DocumentFragment} */
export function render(text) {
  const fragment = document.createDocumentFragment();
  fragment.append(...nodes(linesOf(text)));
  return fragment;
}

/**
 * A text that grows. Every block but the last is rendered once and left alone, so the cost of a delta grows with the
 * block that it is in and not with the answer.
 */
export class Prose {
  #length = 0;
  #tail = '';
  /** @type {Node[]} */
  #open = [];

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
  }

  clear() {
    this.root.replaceChildren();
    this.#length = 0;
    this.#tail = '';
    this.#open = [];
  }

  /** @param {string} text the whole text so far, which begins with what was shown before */
  show(text) {
    if (text.length === this.#length) return;
    const lines = linesOf(this.#tail + text.slice(this.#length));
    this.#length = text.length;
    const whole = parse(lines.slice(0, -1));
    const last = whole.pop()?.at ?? 0;
    this.#tail = lines.slice(last).join('\n');
    for (const node of this.#open) this.root.removeChild(node);
    this.#open = nodes(lines.slice(last));
    this.root.append(...whole.map(({ node }) => node), ...this.#open);
  }
}
