-- closed | open → open: the upstream refused, for ARGV[1]. ARGV[2]: ms to rest, or -1 for 5 s, doubled with each refusal
-- that follows, up to 5 minutes. KEYS: the breaker.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local refusals = redis.call('HINCRBY', KEYS[1], 'refusals', 1)
local pause = tonumber(ARGV[2])
if pause < 0 then pause = math.min(300000, 5000 * 2 ^ (refusals - 1)) end
redis.call('HSET', KEYS[1], 'reason', ARGV[1], 'until_ms', string.format('%d', now + pause))
redis.call('PEXPIRE', KEYS[1], string.format('%d', pause + 600000))
