-- Sessions that nobody has used for ARGV[1] ms, up to ARGV[2]: the caller alone is told of them, for ARGV[3] ms from now.
-- KEYS: a share of all sessions, by when each was last used (ms, Redis's clock).
local time = redis.call('TIME')
local before = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
local unused = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', before, 'LIMIT', 0, ARGV[2])
for _, session in ipairs(unused) do redis.call('ZADD', KEYS[1], before + ARGV[3], session) end
return unused
