-- Gives a token back to a bucket: what it was taken for did not happen. KEYS: the bucket. ARGV: capacity.
local tokens = tonumber(redis.call('HGET', KEYS[1], 'tokens'))
if tokens then redis.call('HSET', KEYS[1], 'tokens', tostring(math.min(tonumber(ARGV[1]), tokens + 1))) end
return 0
