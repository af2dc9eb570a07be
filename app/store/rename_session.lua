-- Calls a session by another title, unless it is gone: it must not come back as a title and nothing else.
-- KEYS: session. ARGV: title.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'title', ARGV[1])
return 1
