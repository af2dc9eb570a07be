-- Sets micro-dollars aside in the current hour and day (UTC), if both have room. KEYS: the budget, and the
-- reservation, which is there until it is settled; once, also when the answer got lost and that is tried again.
-- ARGV: micros, the hour's limit, the day's. Answers whether, and the hour and day it counts in.
local now = tonumber(redis.call('TIME')[1])
local hour, day = math.floor(now / 3600), math.floor(now / 86400)
if redis.call('EXISTS', KEYS[2]) == 1 then return {1, hour, day} end
local kept = redis.call('HMGET', KEYS[1], 'hour', 'hour_spent', 'day', 'day_spent')
local hour_spent = tonumber(kept[1]) == hour and tonumber(kept[2]) or 0
local day_spent = tonumber(kept[3]) == day and tonumber(kept[4]) or 0
local micros = tonumber(ARGV[1])
if hour_spent + micros > tonumber(ARGV[2]) or day_spent + micros > tonumber(ARGV[3]) then return {0, hour, day} end
redis.call('HSET', KEYS[1], 'hour', hour, 'hour_spent', string.format('%d', hour_spent + micros),
  'day', day, 'day_spent', string.format('%d', day_spent + micros))
redis.call('EXPIRE', KEYS[1], 172800)
redis.call('SET', KEYS[2], micros, 'EX', 172800)
return {1, hour, day}
