-- Sets what the reader says of an answer that has ended. KEYS: the turn. ARGV: the rating, '' to take it back.
-- Answers {state, the rating before}, nothing when there is no such turn; a running one stays as it is.
local state, before = unpack(redis.call('HMGET', KEYS[1], 'state', 'rating'))
if not state then return false end
if state ~= 'running' then
  if ARGV[1] == '' then redis.call('HDEL', KEYS[1], 'rating') else redis.call('HSET', KEYS[1], 'rating', ARGV[1]) end
end
return {state, before or ''}
