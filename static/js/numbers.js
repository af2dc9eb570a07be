// @ts-check
/** Numbers and times as people read them. What is unknown is the caller's to leave out. */

const whole = new Intl.NumberFormat('en');
const tenths = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const dollars = new Intl.NumberFormat('en', { style: 'currency', currency: 'USD' });
const cents = new Intl.NumberFormat('en', {
  style: 'currency',
  currency: 'USD',
  minimumSignificantDigits: 2,
  maximumSignificantDigits: 2,
});

/** @param {number} n */
export const count = (n) => whole.format(n);

/** @param {number} ms */
export function seconds(ms) {
  const s = Math.round(ms / 1000);
  if (s < 60) return `${tenths.format(ms / 1000)} s`;
  return `${count(Math.floor(s / 60))} min${s % 60 ? ` ${s % 60} s` : ''}`;
}

/** @param {number} usd small amounts keep two digits that say something */
export const money = (usd) => (Math.abs(usd) < 0.995 && usd !== 0 ? cents : dollars).format(usd);

/** @param {number} ms time left, as m:ss, or minutes from an hour's length on */
export function left(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  return s > 600 ? `${Math.ceil(s / 60)} min` : `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${whole.format(Math.round(bytes / 1000))} kB` : `${tenths.format(bytes / 1e6)} MB`;
}

/** @param {number} n @param {string} one @param {string} more @returns {string} */
export const several = (n, one, more) => `${count(n)} ${n === 1 ? one : more}`;

/** @type {[string, number, Intl.DateTimeFormatOptions][]} what an age is called, how many days ago it began, and what day is told */
const AGES = [['Today', 0, {}], ['Yesterday', 1, {}], ['Previous 7 days', 7, { weekday: 'short' }]];
/** Words are English, the clock is as the reader's. */
export const { hourCycle } = new Intl.DateTimeFormat(undefined, { hour: 'numeric' }).resolvedOptions();

/** @param {string} then @returns {[string, string]} its age in the reader's own days, and when it was, by a clock like theirs */
export function aged(then) {
  const at = new Date(then);
  const today = new Date().setHours(0, 0, 0, 0);
  const [age, , day] = AGES.find(([, days]) => at.getTime() >= new Date(today).setDate(new Date(today).getDate() - days)) ?? [];
  /** @type {Intl.DateTimeFormatOptions} */
  const told = age ? { ...day, hour: 'numeric', minute: '2-digit', hourCycle } : { dateStyle: 'medium' };
  return [age ?? 'Earlier', at.toLocaleString('en', told)];
}
