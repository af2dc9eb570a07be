-- Turns that are being produced, scored by the time (ms, Redis's clock) until which their producer vouches for them.
-- ARGV: for how long from now, then the turns.
local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], until_ms, ARGV[i]) end
