-- warming → warm | skipped | failed | cold, by the holder of fencing number ARGV[1] alone. 0 when it lost the lease.
-- A call that came to nothing, beside a live entry, leaves that as it was, warm until it expires, and is not what a question
-- uses by it; one that ends well takes nothing from how long that lives.
-- ARGV from 2: the fields and values to set: the state, the result, and when the entry expires, in this order.
local record = redis.call('HMGET', KEYS[1], 'state', 'fence', 'expires_ms')
if record[1] ~= 'warming' or record[2] ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expires = tonumber(record[3]) or 0
local nothing = ARGV[3] == 'failed' or ARGV[3] == 'cold'
if ARGV[3] == 'failed' then redis.call('HSET', KEYS[1], 'failed_ms', now) end
if nothing and expires > now then
  redis.call('HSET', KEYS[1], 'state', 'warm', 'used', '1')
else
  redis.call('HSET', KEYS[1], unpack(ARGV, 2))
  if ARGV[3] == 'warm' and expires > tonumber(ARGV[7]) then redis.call('HSET', KEYS[1], 'expires_ms', expires) end
end
return 1
