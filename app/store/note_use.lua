-- A context is used: the gap since its last use is counted, and older counts fade. Kept for 30 days.
-- KEYS: the context's uses.
local FADE = 0.98
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local last = tonumber(redis.call('HGET', KEYS[1], 'last'))
redis.call('HSET', KEYS[1], 'last', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 2592000)
if not last then return end
local gap = now - last
local found = gap <= 300 and 'short' or gap <= 3600 and 'middle' or 'long'
for _, name in ipairs({'short', 'middle', 'long'}) do
  local count = (tonumber(redis.call('HGET', KEYS[1], name)) or 0) * FADE
  redis.call('HSET', KEYS[1], name, string.format('%.9g', count + (name == found and 1 or 0)))
end
