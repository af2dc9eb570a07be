-- Why the upstream refuses, while it rests; nothing when it does not, or has rested long enough to be tried again.
local time = redis.call('TIME')
local breaker = redis.call('HMGET', KEYS[1], 'reason', 'until_ms')
if breaker[1] and tonumber(breaker[2]) > time[1] * 1000 + math.floor(time[2] / 1000) then return breaker[1] end
return false
