-- warm → warm, living until ARGV[1] at least: a read refreshes an entry, also one that is being made to last longer.
-- ARGV[2]: how long to keep the record, ms.
-- Answers the trigger of the warm that wrote it, the first time that it is used; nothing after that.
local record = redis.call('HMGET', KEYS[1], 'state', 'expires_ms', 'trigger', 'used')
local now = tonumber(redis.call('TIME')[1]) * 1000
local lives = record[1] == 'warm' or (record[1] == 'warming' and (tonumber(record[2]) or 0) > now)
if not lives then return false end
if tonumber(ARGV[1]) > (tonumber(record[2]) or 0) then
  redis.call('HSET', KEYS[1], 'expires_ms', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
if record[1] ~= 'warm' or record[4] ~= '0' or record[3] == '' then return false end
redis.call('HSET', KEYS[1], 'used', '1')
return record[3]
