-- cold | warm | failed → warming (what was skipped stays so), or warming → warming when the lease ran out, or when a
-- question takes over from a warm that is younger than it says: the former holder's fencing number counts no more. An
-- entry that was to be made to last longer is warm as long as it lives, whatever became of that.
-- KEYS: the prefix's record. ARGV: claiming session, lease, margin, how long to keep the record, how long to rest after
-- a failure (all ms), the trigger of a warm ('' for a question), the age (ms) below which a question takes over, and 1
-- for a question that was asked before: what its session claimed for a question does not count; then the claim's own name,
-- under which it is given again when the answer got lost.
-- Answers the fencing number or 0, Redis's time in ms, and the record.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local record = redis.call('HMGET', KEYS[1], 'state', 'lease_ms', 'expires_ms', 'failed_ms', 'started_ms',
  'trigger', 'session', 'claim', 'fence', 'used')
local expires = tonumber(record[3]) or 0
local young = record[6] ~= '' and expires <= now and now - (tonumber(record[5]) or 0) < tonumber(ARGV[7])
local own = ARGV[8] == '1' and record[6] == '' and record[7] == ARGV[1]
local busy = record[1] == 'warming' and tonumber(record[2]) > now and not young and not own
local warm = (record[1] == 'warm' or record[1] == 'warming') and expires > now + tonumber(ARGV[3])
local resting = (tonumber(record[4]) or 0) + ARGV[5] > now
local fence = 0
if record[1] == 'warming' and record[8] == ARGV[9] then
  fence = tonumber(record[9])
elseif not busy and not warm and not resting and record[1] ~= 'skipped' then
  fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
  -- For who withdraws the claim.
  local before = cjson.encode({state = record[1], lease_ms = record[2], started_ms = record[5], trigger = record[6],
    session = record[7], used = record[10]})
  redis.call('HSET', KEYS[1], 'state', 'warming', 'session', ARGV[1], 'started_ms', now, 'lease_ms', now + ARGV[2],
    'trigger', ARGV[6], 'used', '0', 'claim', ARGV[9], 'before', before)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return {tostring(fence), tostring(now), redis.call('HGETALL', KEYS[1])}
