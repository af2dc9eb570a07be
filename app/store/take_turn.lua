-- running → running, for another attempt, under the next epoch: from its first entry on, which shows nothing, Redis refuses
-- whatever the former producer still tries to write. An attempt that was handed over in good order does not count.
-- KEYS: session, turn, journal. ARGV: the epoch that the caller knows; who takes it: an answer that got lost is given again.
-- Answers the new epoch and the attempts made, with this one; nothing when the turn has ended, was erased, or has been taken
-- by another.
local turn = redis.call('HMGET', KEYS[2], 'state', 'epoch', 'handed', 'taker', 'attempts')
local taker = ARGV[2] .. ':' .. ARGV[1]
if turn[1] == 'running' and turn[4] == taker then return {tonumber(turn[2]), tonumber(turn[5])} end
if turn[1] ~= 'running' or turn[2] ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then return false end
-- A failover can have lost that the turn was taken, and whoever took it goes on writing.
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
local epoch = math.max(turn[2], last and string.match(last[1], '^%d+') or 0) + 1
local attempts = redis.call('HINCRBY', KEYS[2], 'attempts', turn[3] and 0 or 1)
redis.call('HDEL', KEYS[2], 'handed')
redis.call('HSET', KEYS[2], 'epoch', epoch, 'taker', taker)
redis.call('XADD', KEYS[3], epoch .. '-1', 'f', '')
return {epoch, attempts}
