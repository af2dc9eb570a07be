-- Corrects what was set aside by ARGV[1] micros, in the hour ARGV[2] and day ARGV[3] if they are still the current ones,
-- once: the reservation KEYS[2] is gone after that. KEYS[1]: the budget.
if redis.call('DEL', KEYS[2]) == 0 then return end
local kept = redis.call('HMGET', KEYS[1], 'hour', 'day')
if kept[1] == ARGV[2] then redis.call('HINCRBY', KEYS[1], 'hour_spent', ARGV[1]) end
if kept[2] == ARGV[3] then redis.call('HINCRBY', KEYS[1], 'day_spent', ARGV[1]) end
