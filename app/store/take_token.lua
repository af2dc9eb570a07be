-- Takes tokens from a bucket that refills over time. KEYS: the bucket. ARGV: capacity, tokens/second, how many.
-- Answers 0, or the milliseconds until there are so many, and then takes none.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local capacity, rate, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3] or 1)
local tokens = math.min(capacity, (tonumber(bucket[1]) or capacity) + (now - (tonumber(bucket[2]) or now)) * rate)
local wait_ms = 0
if tokens >= count then
  tokens = tokens - count
else
  wait_ms = math.max(1, math.ceil((count - tokens) / rate * 1000))
end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil(capacity / rate) + 1)
return wait_ms
