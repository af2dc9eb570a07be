-- (nothing) → running: a turn starts with its first event, unless its session runs another one, or has
-- grown since it was looked at.
-- KEYS: session, turn, journal, list of turns, ends. ARGV: turn id, first frame, how many turns were complete, who accepts it,
--       then the turn's fields and values.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
local running = redis.call('HGET', KEYS[1], 'running')
-- One that was started already, and whose answer got lost, is not another one.
if running == ARGV[1] and redis.call('HGET', KEYS[2], 'accepted_by') == ARGV[4] then return '' end
-- Nor is one that has ended by now, or that somebody else has started under the same key.
if redis.call('EXISTS', KEYS[2]) == 1 then return ARGV[1] end
if running and running ~= '' then return running end
if redis.call('LLEN', KEYS[5]) ~= tonumber(ARGV[3]) then return 'grown' end
local number = redis.call('RPUSH', KEYS[4], ARGV[1])
redis.call('HSET', KEYS[1], 'running', ARGV[1])
redis.call('HSET', KEYS[2], 'turn', ARGV[1], 'number', number, 'epoch', 0, 'attempts', 1, 'state', 'running', 'accepted_by', ARGV[4], unpack(ARGV, 5))
redis.call('XADD', KEYS[3], '0-1', 'f', ARGV[2])
return ''
