// @ts-check
/** Headstart in a page of your own: docs/embed.md. */

/** @typedef {{event: string, data: any, id: number}} TurnEvent */

const SILENCE = 45_000, RENEW = 20_000, RETRY = 10_000, PRESENT = 60_000, TRIES = 12;

/** @param {any} [problem] */
const failure = (problem = { code: 'offline', retryable: true, detail: 'The server is away.' }) =>
  Object.assign(Error(problem.detail), problem);

/** @param {ReadableStream} body @returns {AsyncGenerator<TurnEvent>} */
export async function* events(body) {
  const reader = body.getReader();
  for (let decoder = new TextDecoder(), rest = ''; ; ) {
    const watch = setTimeout(() => reader.cancel(), SILENCE);
    const { value } = await reader.read().catch(() => ({}));
    clearTimeout(watch);
    if (!value) return;
    const blocks = (rest + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split(/\r?\n/);
      const [id, event, data] = ['id:', 'event:', 'data:'].map((name) =>
        lines.map((line) => (line.startsWith(name) ? line.slice(name.length) : '')).join('\n').trim());
      if (data) yield { event, data: JSON.parse(data), id: +id };
    }
  }
}

/**
 * Warms while the reader types.
 * @param {HTMLElement & {value: string}} input
 * @param {{session?: string, context?: string, base?: string, token?: string, onWarm?: (warm: any) => void}} options
 *   a session, or what to begin one over; the server; a bearer's token
 */
export function attach(input, { session, context, base = new URL(import.meta.url).origin, token, onWarm }) {
  const life = new AbortController();
  let state = '', busy = false, due = 0, end = NaN, active = 0, begun;

  /** @param {string} path @param {any} [body] @param {any} [more] */
  async function call(path, body, more) {
    const response = await fetch(base + path, {
      method: body ? 'POST' : 'GET',
      body: body && JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }), ...more },
      credentials: token ? 'omit' : 'include',
    }).catch(() => { throw failure(); });
    const { ok, status, headers } = response;
    if (ok) return response;
    const problem = await response.json().catch(() => ({ retryable: status > 499, detail: `Status ${status}` }));
    throw failure({ ...problem, status, after: headers.get('Retry-After') });
  }

  async function path() {
    const begin = () => call('/api/sessions', { context }).then((made) => made.json()).finally(() => (begun = null));
    session ||= (await (begun ??= begin())).session;
    return `/api/sessions/${session}`;
  }

  /** @param {any} told */
  function learn(told) {
    state = told.state;
    end = Date.parse(told.expires_at);
    due = state === 'cold' ? 0 : Math.max(Date.now() + RETRY, end - RENEW || 0);
    onWarm?.(told);
  }

  /** Warms, if due. @param {string} [trigger] */
  async function warm(trigger = 'api') {
    if (busy || document.hidden || Date.now() < due) return;
    busy = true;
    try {
      for (let wait = false; !wait || state === 'warming'; wait = true) {
        learn((await (await call(`${await path()}/warm`, { trigger, wait })).json()).warm);
      }
    } catch (error) {
      learn({ state: 'failed', reason: error.code });
    }
    busy = false;
  }

  /**
   * Asks, and follows through cuts.
   * @param {string} question
   * @param {{onText?: (text: string) => void, onEvent?: (event: TurnEvent) => void, signal?: AbortSignal}} [on]
   * @returns {Promise<{turn: string, text: string, verdict: any}>} throws problems
   */
  async function ask(question, { onText, onEvent, signal } = {}) {
    signal?.throwIfAborted();
    let text = '', turn, last = 0, cuts = 0, after = 0;
    const stop = () => turn && call(`/api/turns/${turn}/stop`, {}).catch(() => {});
    async function follow() {
      let response = await call(`${await path()}/ask`, { question });
      turn = response.headers.get('Turn-Id');
      if (signal?.aborted) stop();
      for (;;) {
        for await (const told of response ? events(response.body) : []) {
          const { event, data, id } = told;
          if (signal?.aborted || (id && id <= last)) continue;
          if (id) [last, cuts] = [id, 0];
          onEvent?.(told);
          const before = text;
          if (/^(restart|message_start)$/.test(event)) text = '';
          text += (data.delta || data.content_block)?.text || '';
          if (text !== before) onText?.(text);
          if (event === 'error') throw failure(data);
          if (/^(verdict|stopped)$/.test(event)) return { turn, text, verdict: data.cache ? data : null };
        }
        if (++cuts > TRIES || signal?.aborted) throw failure();
        const ms = Math.min(8000, 125 * 2 ** cuts) * (0.5 + Math.random() / 2);
        await new Promise((again) => setTimeout(again, Math.max(ms, 1000 * after)));
        response = await call(`/api/turns/${turn}/events`, null, { 'Last-Event-ID': last }).catch((error) => {
          if (!error.retryable) throw error;
          after = error.after;
        });
      }
    }
    due = Infinity;
    try {
      return await Promise.race([follow(), new Promise((_, leave) => {
        signal?.addEventListener('abort', () => { leave(signal.reason); stop(); });
      })]);
    } finally {
      learn({ state: 'cold' });
      if (input.value) focused('keystroke');
    }
  }

  const focused = (trigger) => document.activeElement === input && warm(trigger);
  input.addEventListener('focus', () => warm('focus'), life);
  input.addEventListener('input', () => warm('keystroke'), life);
  document.addEventListener('visibilitychange', () => focused('visible'), life);
  for (const sign of ['keydown', 'pointermove']) addEventListener(sign, () => (active = Date.now()), life);
  const timer = setInterval(() => {
    if (life.signal.aborted) clearInterval(timer);
    else if (Date.now() > end) learn({ state: 'cold' });
    else if (end && Date.now() - active < PRESENT) warm('visible');
  }, 2000);
  focused('focus');
  return { ask, warm, detach: () => life.abort() };
}
