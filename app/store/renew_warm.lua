-- warming → warming: the holder of fencing number ARGV[1] keeps its lease for ARGV[2] ms more. 0 when it lost it.
local record = redis.call('HMGET', KEYS[1], 'state', 'fence')
if record[1] ~= 'warming' or record[2] ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'lease_ms', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2])
return 1
