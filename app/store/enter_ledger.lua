-- Counts one thing in the ledger, once, however often it is tried: its id is remembered for a while. A call is open →
-- entered, and no longer open; one that was entered as abandoned, and ended after all, is entered anew instead.
-- KEYS: the id, entries, unused warms, their ends, pace, open calls, until when each is vouched for, then every sheet to
-- count in; all in one slot.
-- ARGV: the entry ('' for none), and as JSON {id?, remember_ms, undo?, keep, lives_s (of each sheet, 0: for ever),
-- adds, unused? (a warm), used_since_ms? (a question), prefix, now_ms, forget_ms, pace?}. Answers whether it was counted.
-- A warm is unused → used by the first question that reads its prefix before its end. What is refreshed waits on with the
-- warm that refreshed it. What ends unused is only forgotten: wasted is what was spent, less used, less unused.
local given = cjson.decode(ARGV[2])
local ids, entries, unused, ends, pace = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

-- A count that would leave 64 bits is left as it is: better one wrong figure than half an entry.
local function count(sheet, adds)
  for _, add in ipairs(adds) do redis.pcall('HINCRBY', sheet, add[1], add[2]) end
end

local sheets = {}
for i = 8, #KEYS do table.insert(sheets, KEYS[i]) end

if given.id then
  redis.call('HDEL', KEYS[6], given.id)
  redis.call('ZREM', KEYS[7], given.id)
  local before = redis.call('GET', ids)
  if before and (before == '' or given.undo) then return 0 end
  if before then
    local undone = cjson.decode(before)
    redis.call('XDEL', entries, undone.entry)
    for _, sheet in ipairs(undone.sheets) do count(sheet, undone.adds) end
  end
end

local entry = ''
if ARGV[1] ~= '' then entry = redis.call('XADD', entries, 'MAXLEN', '~', given.keep, '*', 'entry', ARGV[1]) end
if given.id then
  local undo = given.undo and cjson.encode({entry = entry, sheets = sheets, adds = given.undo}) or ''
  redis.call('SET', ids, undo, 'PX', given.remember_ms)
end

for i, sheet in ipairs(sheets) do
  count(sheet, given.adds)
  if given.lives_s[i] > 0 then redis.call('EXPIRE', sheet, given.lives_s[i]) end
end

local function waiting(since_ms)
  local ends_ms = tonumber(redis.call('ZSCORE', ends, given.prefix) or '')
  if not ends_ms or ends_ms < since_ms then return {} end
  return cjson.decode(redis.call('HGET', unused, given.prefix))
end

if given.used_since_ms then
  for _, warm in ipairs(waiting(given.used_since_ms)) do
    for _, sheet in ipairs(warm.sheets) do count(sheet, warm.adds) end
  end
  redis.call('HDEL', unused, given.prefix)
  redis.call('ZREM', ends, given.prefix)
end

if given.unused then
  local warms = waiting(given.now_ms)
  table.insert(warms, given.unused.warm)
  redis.call('HSET', unused, given.prefix, cjson.encode(warms))
  redis.call('ZADD', ends, given.unused.ends_ms, given.prefix)
  for _, prefix in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', given.forget_ms, 'LIMIT', 0, 100)) do
    redis.call('HDEL', unused, prefix)
    redis.call('ZREM', ends, prefix)
  end
end

if given.pace then
  local sums = redis.call('HMGET', pace, 'n', 'x', 'y', 'xx', 'xy')
  local x, y = given.pace.tokens, given.pace.seconds
  local add = {1, x, y, x * x, x * y}
  for i, name in ipairs({'n', 'x', 'y', 'xx', 'xy'}) do
    redis.call('HSET', pace, name, string.format('%.17g', (tonumber(sums[i]) or 0) * given.pace.fade + add[i]))
  end
end
return 1
