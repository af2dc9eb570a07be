-- closed | open → open: the upstream refused, for ARGV[1]. ARGV[2]: ms to rest, or -1 for 5 s, doubled with each refusal
-- that follows, up to 5 minutes. A longer rest goes on. KEYS: the breaker.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local refusals = redis.call('HINCRBY', KEYS[1], 'refusals', 1)
local pause = tonumber(ARGV[2])
if pause < 0 then pause = math.min(300000, 5000 * 2 ^ (refusals - 1)) end
local ends = math.max(now + pause, tonumber(redis.call('HGET', KEYS[1], 'until_ms')) or 0)
redis.call('HSET', KEYS[1], 'reason', ARGV[1], 'until_ms', string.format('%d', ends))
redis.call('PEXPIRE', KEYS[1], string.format('%d', ends - now + 600000))
