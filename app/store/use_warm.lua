-- warm or warming → the same, living until ARGV[1] at least: a question found the prefix cached. A read refreshes an entry,
-- also one that is being made to last longer; and who did not wait for the call under way wrote one beside it.
-- ARGV[2]: the result of the question's own call, for an entry that nothing was known of; [3]: how long to keep the record,
-- ms. Answers the trigger of the warm that wrote it, the first time that it is used; nothing after that.
local record = redis.call('HMGET', KEYS[1], 'state', 'expires_ms', 'trigger', 'used')
if record[1] ~= 'warm' and record[1] ~= 'warming' then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local expires = tonumber(record[2]) or 0
if record[1] == 'warming' and expires <= now then redis.call('HSET', KEYS[1], 'result', ARGV[2]) end
if tonumber(ARGV[1]) > expires then
  redis.call('HSET', KEYS[1], 'expires_ms', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if record[1] ~= 'warm' or record[4] ~= '0' or record[3] == '' then return false end
redis.call('HSET', KEYS[1], 'used', '1')
return record[3]
