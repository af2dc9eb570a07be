-- Has the session's first turns be read by whoever has its link, unless the session is gone: then nil. A link that there is stays.
-- KEYS: session. ARGV: secret of a new link, number of turns, now in ms, title. -> "secret turns ms title"
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local secret = string.match(redis.call('HGET', KEYS[1], 'link') or '', '^%x+') or ARGV[1]
local link = table.concat({secret, ARGV[2], ARGV[3], ARGV[4]}, ' ')
redis.call('HSET', KEYS[1], 'link', link)
return link
