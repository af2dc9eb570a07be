-- Open calls that nobody vouches for any more: the caller does, for ARGV[1] ms from now, in which it alone enters them.
-- KEYS: open calls, until when (ms, Redis's clock) each is vouched for. Answers what is known of them.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = {}
for _, call in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)) do
  local one = redis.call('HGET', KEYS[1], call)
  if one then
    redis.call('ZADD', KEYS[2], now + ARGV[1], call)
    table.insert(known, one)
  else
    redis.call('ZREM', KEYS[2], call)
  end
end
return known
