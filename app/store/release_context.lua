-- An owner lets go of a context: owners - 1; at 0 everything about it is erased.
-- KEYS: owners, context, fragments. ARGV: owner.
redis.call('SREM', KEYS[1], ARGV[1])
if redis.call('SCARD', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
end
