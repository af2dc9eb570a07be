-- warming → what it was before, by the holder of fencing number ARGV[1] alone, who makes no call after all. 0 when it lost
-- the lease. The number is not given again.
local record = redis.call('HMGET', KEYS[1], 'state', 'fence', 'before')
if record[1] ~= 'warming' or record[2] ~= ARGV[1] then return 0 end
for name, value in pairs(cjson.decode(record[3])) do
  if value then redis.call('HSET', KEYS[1], name, value) else redis.call('HDEL', KEYS[1], name) end
end
return 1
