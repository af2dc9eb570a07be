-- Sets what the reader says of an answer that has ended, once, however often it is tried. KEYS: the turn. ARGV: the rating,
-- '' for none, and an id of this saying. Answers {state, the rating before}, nothing when there is no such turn; a running
-- one stays as it is. A copy's `rating_copied`, which is shown until something is said of the copy, is no rating of its own.
local state, before, said, then_before = unpack(redis.call('HMGET', KEYS[1], 'state', 'rating', 'rating_said', 'rating_before'))
if not state then return false end
if said == ARGV[2] then return {state, then_before} end
before = before or ''
if state ~= 'running' then
  redis.call('HSET', KEYS[1], 'rating', ARGV[1], 'rating_said', ARGV[2], 'rating_before', before)
end
return {state, before}
