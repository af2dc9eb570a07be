-- What a context's first prefix was rendered from when it was written: for 30 days, and for 32 prefixes at the most.
-- KEYS: a context's prefixes. ARGV: a digest, and the parameters as JSON.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= 32 then return end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], 2592000)
