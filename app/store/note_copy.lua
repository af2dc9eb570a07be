-- A session has one more copy, unless it is gone: whoever erases it erases its copies first.
-- KEYS: session, copies. ARGV: the copy. Answers whether the session is there.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SADD', KEYS[2], ARGV[1])
return 1
