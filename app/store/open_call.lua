-- (nothing) → open: a call is about to be made, and its process vouches for it for ARGV[3] ms from now.
-- KEYS: open calls, until when (ms, Redis's clock) each is vouched for. ARGV: the call's id, what is known of it, ms.
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3], ARGV[1])
