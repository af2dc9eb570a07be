-- warming → warm | skipped | failed | cold, by the holder of fencing number ARGV[1] alone. 0 when it lost the lease.
-- ARGV from 2: the fields and values to set.
local record = redis.call('HMGET', KEYS[1], 'state', 'fence')
if record[1] ~= 'warming' or record[2] ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'settled_ms', time[1] * 1000 + math.floor(time[2] / 1000), unpack(ARGV, 2))
return 1
