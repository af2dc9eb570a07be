-- A session is used now. KEYS: its share of all sessions, by when each was last used (ms, Redis's clock). ARGV: session.
local time = redis.call('TIME')
return redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
