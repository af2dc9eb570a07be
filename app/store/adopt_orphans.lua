-- Turns that nobody vouches for any more: vouched for by the caller, who alone gets to take them, for ARGV[1] ms from now.
-- When nobody has looked for ARGV[2] ms, Redis was away, or everybody was: then those who live get ARGV[1] ms to vouch first.
-- KEYS: the running turns, scored by the time (ms, Redis's clock) until which their producer vouches for them; when they
-- were looked at. Answers up to 10, each with how long ago (ms) its producer should have been heard of.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local looked = redis.call('HMGET', KEYS[2], 'at', 'patient_until')
redis.call('HSET', KEYS[2], 'at', now)
if now - (tonumber(looked[1]) or 0) > tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[2], 'patient_until', now + ARGV[1])
  return {}
end
if (tonumber(looked[2]) or 0) > now then return {} end
local orphans = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, 10)
for i = 1, #orphans, 2 do
  redis.call('ZADD', KEYS[1], now + ARGV[1], orphans[i])
  orphans[i + 1] = now - orphans[i + 1]
end
return orphans
