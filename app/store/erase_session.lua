-- A session with all that is its own → nothing, in one step: what is left of one could be reached by nobody. One that has
-- copies stays: they are found by it alone, so they go first.
-- KEYS: session, transcript, ends, list of turns, copies. ARGV: what the keys of a turn begin with.
-- Answers its copies, when it has any; else none, and its turns.
local copies = redis.call('SMEMBERS', KEYS[5])
if #copies > 0 then return {copies, {}} end
local turns = redis.call('LRANGE', KEYS[4], 0, -1)
for _, turn in ipairs(turns) do
  for _, prefix in ipairs(ARGV) do redis.call('DEL', prefix .. turn) end
end
redis.call('DEL', unpack(KEYS))
return {{}, turns}
