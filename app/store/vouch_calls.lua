-- open → open: calls that are still under way, or still to be entered. What was entered meanwhile stays so.
-- KEYS: until when (ms, Redis's clock) each open call is vouched for. ARGV: for how long from now, then the calls' ids.
local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', until_ms, ARGV[i]) end
