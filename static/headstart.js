// @ts-check
/** Headstart in your page: docs/embed.md. */

const WAIT = 45_000, RETRY = 10_000, TRIES = 12;

const failure = (problem) => Object.assign(Error(problem.detail), problem);
const away = () => { throw failure({ code: 'offline', retryable: true, detail: 'The server is away.' }); };

/** @param {ReadableStream} body */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ''; ; ) {
    const watch = setTimeout(() => reader.cancel(), WAIT);
    const { value } = await reader.read().catch(() => ({}));
    clearTimeout(watch);
    if (!value) return;
    const blocks = (rest + value.replaceAll('\r', '')).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const [id, event, data] = ['id:', 'event:', 'data:'].map((name) =>
        block.split('\n').map((line) => (line.startsWith(name) ? line.slice(name.length) : '')).join('\n').trim());
      if (data) yield { event, data: JSON.parse(data), id: +id };
    }
  }
}

/**
 * Warms while the reader types.
 * @param {HTMLElement & {value: string}} input
 * @param {{session?: string, context?: string, base?: string, token?: string, onWarm?: (warm: any) => void}} options
 */
export function attach(input, { session, context, base = new URL(import.meta.url).origin, token, onWarm }) {
  const life = new AbortController();
  let due = 0, end = NaN, begun;

  async function call(path, body, key, left = 3) {
    const response = await fetch(base + path, {
      ...body && { method: 'POST', body: JSON.stringify(body) },
      headers: {
        'Content-Type': 'application/json',
        ...key && { 'Idempotency-Key': key },
        ...token && { Authorization: `Bearer ${token}` },
      },
      credentials: token ? 'omit' : 'include',
    }).catch(away);
    const { status, headers } = response;
    if (response.ok) return response;
    const told = await response.json().catch(() => {});
    // Another server takes it.
    if (left && told?.code === 'shutting_down') return call(path, body, key, left - 1);
    throw failure({ retryable: status > 499, detail: `Status ${status}`, after: headers.get('Retry-After'), ...told });
  }

  const json = async (path, body) => (await call(path, body)).json().catch(away);

  /** Of the session, which it begins. */
  const path = () => (begun ??= (session ? Promise.resolve({ session }) : json('/api/sessions', { context })).then(
    (made) => `/api/sessions/${made.session}`,
    (problem) => { begun = null; throw problem; },
  ));

  function learn(told) {
    end = Date.parse(told.expires_at);
    due = { cold: 0, warming: Infinity }[told.state] ?? Math.max(Date.now() + RETRY, end - WAIT || 0);
    onWarm?.(told);
    return told.state;
  }

  async function warm(trigger = 'api') {
    if (document.hidden || Date.now() < due) return;
    due = Infinity;
    try {
      let state;
      do state = learn((await json(`${await path()}/warm`, { trigger, wait: !!state })).warm);
      while (state === 'warming');
    } catch (error) {
      learn({ state: 'failed', reason: error.code });
    }
  }

  /**
   * Asks once, whatever is lost.
   * @param {string} question
   * @param {{onText?: (text: string) => void, onEvent?: (told: any) => void, signal?: AbortSignal}} [on]
   * @returns {Promise<{turn: string, text: string, verdict: any}>} throws problems
   */
  async function ask(question, { onText, onEvent, signal } = {}) {
    // Under one key it is one question, however often it is sent.
    const key = `${Date.now()}${Math.random()}`;
    let text = '', turn, last = 0, tries = 0;
    const stop = () => turn && call(`/api/turns/${turn}/stop`, {}).catch(() => {});

    async function follow() {
      for (;;) try {
        signal?.throwIfAborted();
        const at = await path();
        const reply = await call(...turn ? [`/api/turns/${turn}/events?after=${last}`] : [`${at}/ask`, { question }, key]);
        turn ||= reply.headers.get('Turn-Id');
        if (signal?.aborted) stop();
        for await (const told of events(reply.body)) {
          signal?.throwIfAborted();
          const { event, data, id } = told;
          if (id > last) [last, tries] = [id, 0];
          else if (id) continue;
          onEvent?.(told);
          const shown = text;
          if (/^(restart|message_start)$/.test(event)) text = '';
          text += (data.delta || data.content_block)?.text || '';
          if (text !== shown) onText?.(text);
          if (event === 'error') return Promise.reject(failure(data));
          if (/^(verdict|stopped)$/.test(event)) return { turn, text, verdict: data.cache ? data : null };
        }
        away();
      } catch (problem) {
        // It was erased: the next question begins another.
        if (!session && problem.code === 'session_not_found') begun = null;
        const pause = 1000 * problem.after || 800 * tries * Math.random();
        if (!problem.retryable || pause > RETRY || ++tries > TRIES) throw problem;
        await new Promise((again) => setTimeout(again, pause));
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
  for (const sign of ['keydown', 'pointermove']) addEventListener(sign, () => end && warm('visible'), life);
  const timer = setInterval(() => Date.now() > end && learn({ state: 'cold' }), 2000);
  focused('focus');
  return { ask, warm, detach: () => { life.abort(); clearInterval(timer); } };
}
