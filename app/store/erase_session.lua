-- A session with all that is its own → nothing, in one step: what is left of one could be reached by nobody.
-- KEYS: session, transcript, ends, list of turns. ARGV: what the keys of a turn begin with. Answers its turns.
local turns = redis.call('LRANGE', KEYS[4], 0, -1)
for _, turn in ipairs(turns) do
  for _, prefix in ipairs(ARGV) do redis.call('DEL', prefix .. turn) end
end
redis.call('DEL', unpack(KEYS))
return turns
