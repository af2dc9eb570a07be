-- warming → what it was before, by the holder of fencing number ARGV[1] alone, who makes no call after all. 0 when it lost
-- the lease. The number is not given again. What a question has written beside it meanwhile is warm.
local record = redis.call('HMGET', KEYS[1], 'state', 'fence', 'before', 'expires_ms')
if record[1] ~= 'warming' or record[2] ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = cjson.decode(record[3])
if before.state ~= 'warm' and (tonumber(record[4]) or 0) > now then
  redis.call('HSET', KEYS[1], 'state', 'warm', 'used', '1')
  return 1
end
for name, value in pairs(before) do
  if value then redis.call('HSET', KEYS[1], name, value) else redis.call('HDEL', KEYS[1], name) end
end
return 1
