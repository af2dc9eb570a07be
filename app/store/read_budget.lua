-- Micro-dollars spent or set aside in the current hour and day (UTC).
local now = tonumber(redis.call('TIME')[1])
local kept = redis.call('HMGET', KEYS[1], 'hour', 'hour_spent', 'day', 'day_spent')
local hour = tonumber(kept[1]) == math.floor(now / 3600) and kept[2] or '0'
local day = tonumber(kept[3]) == math.floor(now / 86400) and kept[4] or '0'
return {hour, day}
