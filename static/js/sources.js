// @ts-check
/**
 * Files as people choose them, looked through before anything is sent: what a folder's `.gitignore` excludes, what may hold
 * secrets, and what is no text, stays on this machine. The server has the rules; this asks it, by the files' names.
 */
import { call } from './api.js';

/** @typedef {{path: string, file: File}} Source a path with a slash lies in a folder that was chosen */
/** @typedef {{name: string, reason: string}} LeftOut */
/** @typedef {{taken: Source[], skipped: LeftOut[], ignored: number}} Sifted */

export const MOST_BYTES = 32_000_000;
const MOST_RULES_BYTES = 100_000;
const LOOKED_AT = 4096;
const OFFICE = /\.(docx?|od[pst]|pages|pptx?|rtf|xlsx?)$/i;

/** @param {File[]} files as an input or a paste has them @returns {Source[]} */
export const sourcesOf = (files) => files.map((file) => ({ path: file.webkitRelativePath || file.name, file }));

/** @param {(FileSystemEntry|File)[]} entries what was dropped @returns {Promise<Source[]>} */
export async function sourcesIn(entries) {
  /** @type {Source[]} */
  const found = [];
  for (const entry of entries) {
    if (entry instanceof File) found.push({ path: entry.name, file: entry });
    else await walk(entry, found);
  }
  return found;
}

/** @param {FileSystemEntry} entry @param {Source[]} found */
async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((give, fail) => /** @type {FileSystemFileEntry} */ (entry).file(give, fail));
    found.push({ path: entry.fullPath.replace(/^\//, ''), file });
  } else if (entry.name !== '.git') {
    for (const inside of await listed(/** @type {FileSystemDirectoryEntry} */ (entry))) await walk(inside, found);
  }
}

/** @param {FileSystemDirectoryEntry} folder a reader gives a hundred at a time, and then nothing */
async function listed(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const all = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((give, fail) => reader.readEntries(give, fail));
    if (!some.length) return all;
    all.push(...some);
  }
}

/** @param {Source[]} sources @returns {Promise<Sifted>} throws a `Problem` */
export async function sift(sources) {
  const inFolders = sources.filter(({ path }) => path.includes('/') && !path.split('/').includes('.git'));
  const chosen = sources.filter(({ path }) => !path.includes('/'));
  /** @type {{taken: string[], skipped: LeftOut[], ignored: number}} */
  let judged = { taken: [], skipped: [], ignored: 0 };
  if (inFolders.length) {
    judged = await call('POST', '/api/sift', { paths: inFolders.map(({ path }) => path), gitignores: await rules(inFolders) });
  }
  const taken = new Set(judged.taken);
  /** @type {Sifted} */
  const sifted = { taken: [], skipped: judged.skipped, ignored: judged.ignored };
  for (const source of [...chosen, ...inFolders.filter(({ path }) => taken.has(path))]) {
    const reason = await unfit(source);
    if (reason) sifted.skipped.push({ name: source.path, reason });
    else sifted.taken.push(source);
  }
  return sifted;
}

/** @param {Source[]} sources @returns {Promise<Record<string, string>>} */
async function rules(sources) {
  const files = sources.filter(({ path, file }) => path.endsWith('/.gitignore') && file.size <= MOST_RULES_BYTES);
  return Object.fromEntries(await Promise.all(files.map(async ({ path, file }) => [path, await file.text()])));
}

/** @param {Source} source @returns {Promise<string>} why it need not be sent, if so; the server looks more closely */
async function unfit({ path, file }) {
  if (!file.size) return 'empty';
  if (file.size > MOST_BYTES) return 'larger than 32 MB';
  if (!path.includes('/') && /\.zip$/i.test(path)) return '';
  try {
    const start = new Uint8Array(await file.slice(0, LOOKED_AT).arrayBuffer());
    const isPdf = new TextDecoder('latin1').decode(start.subarray(0, 1024)).includes('%PDF-');
    if (isPdf || !start.includes(0)) return '';
    return OFFICE.test(path) ? 'an office file; save it as PDF or text' : 'binary';
  } catch {
    return 'cannot be read';
  }
}
