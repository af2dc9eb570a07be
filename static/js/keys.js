// @ts-check
/**
 * Under which key a question is sent, of which nobody knows yet whether the server has it: however often it is sent, and after
 * a reload too, it is one question.
 */
import { recall, retain } from './kept.js';

const KEY = 'headstart.keys';
const MOST = 20;

/** Not `randomUUID`, which pages without TLS do not have. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join('-');

export class Keys {
  /** @type {Map<string, string>} */
  #keys = new Map(recall('sessionStorage', KEY));

  /** @param {string} session @param {string} question */
  of(session, question) {
    const name = `${session} ${question}`;
    const key = this.#keys.get(name) ?? newKey();
    this.#keys.set(name, key);
    this.#keys = new Map([...this.#keys].slice(-MOST));
    retain('sessionStorage', KEY, this.#keys);
    return key;
  }

  /** It is there, and what is asked next is another. @param {string} session @param {string} question @returns {boolean} whether it had a key */
  forget(session, question) {
    const known = this.#keys.delete(`${session} ${question}`);
    if (known) retain('sessionStorage', KEY, this.#keys);
    return known;
  }
}
