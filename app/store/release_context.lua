-- An owner lets go of a context: owners - 1; at 0 everything about it is erased, after ARGV[2] seconds.
-- KEYS: owners, context, fragments. ARGV: owner, seconds.
redis.call('SREM', KEYS[1], ARGV[1])
if redis.call('SCARD', KEYS[1]) > 0 then return end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[2]) end
