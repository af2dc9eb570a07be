-- warm → warm, living until ARGV[1] at least: a read refreshes an entry. ARGV[2]: how long to keep the record, ms.
local record = redis.call('HMGET', KEYS[1], 'state', 'expires_ms')
if record[1] == 'warm' and tonumber(ARGV[1]) > (tonumber(record[2]) or 0) then
  redis.call('HSET', KEYS[1], 'expires_ms', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
