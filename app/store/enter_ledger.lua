-- Counts one thing in the ledger, once, however often it is tried: its id is remembered for a while.
-- KEYS: the id, entries, unused warms, their ends, pace, then every sheet to count in; all in one slot.
-- ARGV: the entry ('' for none), and as JSON {remember_ms, keep, lives_s (of each sheet, 0: for ever), adds,
-- unused? (a warm), used_since_ms? (a question), prefix, now_ms, forget_ms, pace?}. Answers whether it was counted.
-- A warm is unused → used by the first question that reads its prefix before its end. What is refreshed waits on with the
-- warm that refreshed it. What ends unused is only forgotten: wasted is what was spent, less used, less unused.
local given = cjson.decode(ARGV[2])
local ids, entries, unused, ends, pace = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if given.remember_ms and not redis.call('SET', ids, '', 'NX', 'PX', given.remember_ms) then return 0 end

if ARGV[1] ~= '' then redis.call('XADD', entries, 'MAXLEN', '~', given.keep, '*', 'entry', ARGV[1]) end

-- A count that would leave 64 bits is left as it is: better one wrong figure than half an entry.
local function count(sheet, adds)
  for _, add in ipairs(adds) do redis.pcall('HINCRBY', sheet, add[1], add[2]) end
end

for i = 6, #KEYS do
  count(KEYS[i], given.adds)
  local lives_s = given.lives_s[i - 5]
  if lives_s > 0 then redis.call('EXPIRE', KEYS[i], lives_s) end
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
