-- running → running, left by its producer of epoch ARGV[1] for another process to go on with. 0 when it is not that one's.
-- KEYS: the turn.
local turn = redis.call('HMGET', KEYS[1], 'state', 'epoch')
if turn[1] ~= 'running' or turn[2] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'handed', '1')
return 1
