-- Turns that nobody vouches for any more: vouched for by the caller, who alone gets to end them, for ARGV[1] ms from now.
-- KEYS: the running turns, scored by the time (ms, Redis's clock) until which their producer vouches for them.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local orphans = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)
for _, turn in ipairs(orphans) do redis.call('ZADD', KEYS[1], now + ARGV[1], turn) end
return orphans
