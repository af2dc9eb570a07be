// @ts-check
/** Server-sent events from a fetch body, as the HTML standard reads them, however the bytes were cut. No reconnecting. */

/** @typedef {{event: string, data: string, id: string|null}} ServerEvent `id` is null where the event carried none */

export class Parser {
  #decoder = new TextDecoder();
  #line = '';
  #afterCR = false;
  /** @type {string[]} */
  #data = [];
  #event = '';
  /** @type {string|null} */
  #id = null;

  /** @param {Uint8Array} bytes @returns {ServerEvent[]} the events that these bytes completed */
  push(bytes) {
    const text = this.#decoder.decode(bytes, { stream: true });
    /** @type {ServerEvent[]} */
    const out = [];
    if (!text) return out;
    let start = this.#afterCR && text[0] === '\n' ? 1 : 0;
    const ends = /\r\n|\r|\n/g;
    ends.lastIndex = start;
    for (let end; (end = ends.exec(text)); start = ends.lastIndex) {
      this.#take(this.#line + text.slice(start, end.index), out);
      this.#line = '';
    }
    this.#afterCR = text.endsWith('\r');
    this.#line += text.slice(start);
    return out;
  }

  /** @param {string} line @param {ServerEvent[]} out */
  #take(line, out) {
    if (line === '') return this.#dispatch(out);
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#event = value;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
  }

  /** @param {ServerEvent[]} out */
  #dispatch(out) {
    if (this.#data.length) out.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
    this.#data = [];
    this.#event = '';
    this.#id = null;
  }
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @param {{signal: AbortSignal, alive?: () => void}} options an abort ends it as the body's end does; `alive` is called
 *   for each chunk, comments included
 * @returns {AsyncGenerator<ServerEvent>}
 */
export async function* read(body, { signal, alive }) {
  const parser = new Parser();
  const reader = body.getReader();
  const leave = () => reader.cancel().catch(() => {});
  signal.addEventListener('abort', leave);
  try {
    while (!signal.aborted) {
      const { done, value } = await reader.read();
      if (done) return;
      alive?.();
      yield* parser.push(value);
    }
  } finally {
    signal.removeEventListener('abort', leave);
    leave();
  }
}
