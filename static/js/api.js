// @ts-check
/** Talking to our own server: JSON in, JSON out, every failure a `Problem`, and the server's clock. */

/** What went wrong, in the server's words (RFC 9457) or, when it could not be reached, in ours. */
export class Problem extends Error {
  /** @param {Record<string, any>} fields */
  constructor(fields) {
    super(fields.detail || fields.title || 'Something went wrong.');
    this.status = Number(fields.status) || 0;
    this.code = String(fields.code || '');
    this.retryable = Boolean(fields.retryable);
    this.fields = fields;
  }

  /** One sentence for the reader: of the field at fault where there is one. */
  get sentence() {
    const said = String(this.fields.errors?.[0]?.message || this.message);
    return `${said[0].toUpperCase()}${said.slice(1)}${/[.!?…]$/.test(said) ? '' : '.'}`;
  }

  /** @param {unknown} error @returns {Problem} */
  static from(error) {
    return error instanceof Problem ? error : new Problem({ code: 'offline', retryable: true, detail: 'The server cannot be reached.' });
  }
}

const OTHERS = 3;
let skew = 0;
let away = false;

/** The server's time in milliseconds. `Date` counts whole seconds, so a smaller difference is taken for none. */
export const serverNow = () => Date.now() + skew;

/** @param {Response} response */
function learnTime(response) {
  const said = Date.parse(response.headers.get('date') || '');
  if (Number.isNaN(said)) return;
  const apart = said + 500 - Date.now();
  skew = Math.abs(apart) > 2000 ? apart : 0;
}

/** @param {Response} response @returns {Promise<Problem>} */
async function problemOf(response) {
  const retryable = response.status >= 500;
  const bare = { status: response.status, title: `The server answered ${response.status}.`, retryable };
  try {
    return new Problem({ ...bare, ...(await response.json()) });
  } catch {
    return new Problem(bare);
  }
}

/**
 * @param {string} method @param {string} path @param {unknown} [body]
 * @param {{signal?: AbortSignal, headers?: Record<string, string>}} [options]
 * @returns {Promise<Response>} an answer of the 200s; anything else is thrown as a `Problem`. Retried is only what a server
 *   that is about to end has turned away: another one takes it.
 */
export async function send(method, path, body, options = {}) {
  for (let more = OTHERS; ; more -= 1) {
    try {
      return await sendOnce(method, path, body, options);
    } catch (error) {
      if (!more || Problem.from(error).code !== 'shutting_down') throw error;
    }
  }
}

/**
 * @param {string} method @param {string} path @param {unknown} body
 * @param {{signal?: AbortSignal, headers?: Record<string, string>}} options
 */
async function sendOnce(method, path, body, { signal, headers }) {
  const json = body === undefined ? { headers } : { headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { method, signal, ...json });
  } catch (error) {
    if (signal?.aborted) throw error;
    away = true;
    throw Problem.from(error);
  }
  // What says that the server cannot be reached is to hear that it can.
  if (away) dispatchEvent(new Event('reached'));
  away = false;
  learnTime(response);
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** @param {string} method @param {string} path @param {unknown} [body] @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function call(method, path, body, signal) {
  const response = await send(method, path, body, { signal });
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw Problem.from(error);
  }
}
