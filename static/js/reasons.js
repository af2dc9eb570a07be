// @ts-check
/** The reason codes of warm states and verdicts, as sentences. */

/** @type {Record<string, string>} */
const SENTENCES = {
  upstream_auth: 'The upstream refused the API key.',
  upstream_refused: 'The upstream account may not spend.',
  upstream_invalid: 'The upstream refused the request.',
  upstream_rate_limited: 'The upstream’s rate limit is reached.',
  upstream_overloaded: 'The upstream is overloaded.',
  upstream_failed: 'The upstream failed.',
  upstream_unreachable: 'The upstream cannot be reached.',
  upstream_timeout: 'The upstream did not answer in time.',
  upstream_garbled: 'The upstream’s answer is not the Messages API’s.',
  upstream_reports_no_usage: 'The upstream does not say what its cache did.',
  disabled: 'Warming is switched off here.',
  rate_limited: 'Warmed too often for now.',
  budget_spent: 'What warming may cost for now is spent.',
  upstream_refusing: 'The upstream refuses calls for now.',
  not_worth_it: 'Warming would cost more than it saves here.',
  internal_error: 'Something went wrong on our side.',
  context_gone: 'The context was deleted.',
  prefix_changed: 'The context had changed.',
  model_changed: 'It was warm for another model.',
  parameters_changed: 'It was warm for other parameters.',
  below_minimum: 'The context is too short for the model to cache.',
  not_warmed: 'Nothing had warmed it yet.',
  warm_failed: 'Warming it had failed.',
  warm_abandoned: 'The server that was warming it went away.',
  join_gave_up: 'Warming it took too long to wait for.',
  expired: 'The cache had expired.',
  evicted_upstream: 'The upstream had dropped it.',
};

/** @param {string|null|undefined} code @returns {string} an unknown code speaks for itself; none says nothing */
export function sentence(code) {
  if (!code) return '';
  const words = code.replaceAll('_', ' ');
  return SENTENCES[code] || `${words[0].toUpperCase()}${words.slice(1)}.`;
}
