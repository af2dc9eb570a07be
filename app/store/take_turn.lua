-- running → running, for another attempt, under the next epoch: from its first entry on, which shows nothing, Redis refuses
-- whatever the former producer still tries to write. An attempt that was handed over in good order does not count.
-- KEYS: session, turn, journal. ARGV: the epoch that the caller knows; who takes it: an answer that got lost is given again.
-- Answers the attempts made, with this one; 0 when the turn has ended, was erased, or has been taken by another.
local turn = redis.call('HMGET', KEYS[2], 'state', 'epoch', 'handed', 'taker', 'attempts')
if turn[1] == 'running' and turn[2] == tostring(ARGV[1] + 1) and turn[4] == ARGV[2] then return tonumber(turn[5]) end
if turn[1] ~= 'running' or turn[2] ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local epoch = redis.call('HINCRBY', KEYS[2], 'epoch', 1)
local attempts = redis.call('HINCRBY', KEYS[2], 'attempts', turn[3] and 0 or 1)
redis.call('HDEL', KEYS[2], 'handed')
redis.call('HSET', KEYS[2], 'taker', ARGV[2])
redis.call('XADD', KEYS[3], epoch .. '-1', 'f', '')
return attempts
