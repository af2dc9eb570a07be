-- A question that held no claim found the prefix cached: warm | cold | failed → warm, warming → warming, living until
-- ARGV[1] at least. A read refreshes an entry, also one that is being made to last longer; and who did not wait for a call
-- under way wrote one beside it, whatever became of that call meanwhile.
-- ARGV[2]: the result of the question's own call, for an entry that was not known to live; [3]: how long to keep the record,
-- ms. Answers the trigger of the warm that wrote it, the first time that it is used; nothing after that.
local record = redis.call('HMGET', KEYS[1], 'state', 'expires_ms', 'trigger', 'used')
local state = record[1]
if not state or state == 'skipped' then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expires = tonumber(record[2]) or 0
if expires <= now then redis.call('HSET', KEYS[1], 'result', ARGV[2]) end
if tonumber(ARGV[1]) > expires then
  redis.call('HSET', KEYS[1], 'expires_ms', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
-- No warm wrote this one, and none is used by it.
if state == 'cold' or state == 'failed' then redis.call('HSET', KEYS[1], 'state', 'warm', 'used', '1') end
if state ~= 'warm' or record[4] ~= '0' or record[3] == '' then return false end
redis.call('HSET', KEYS[1], 'used', '1')
return record[3]
