-- A context's token count, learned from the upstream: only for a context that still exists.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'tokens', ARGV[1])
end
