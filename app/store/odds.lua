-- What became of warms by trigger ARGV[1]. ARGV[2]: 'made' (it counts as unused), 'used' (one that counted so is moved
-- over), or 'read'. Answers the counts asked and unused. They fade, by 1 % with each warm and by half each day, so that habits
-- can change, and so that a trigger that is no longer warmed for gets another chance. KEYS: a context's odds.
local FADE, HALF_LIFE_S = 0.99, 86400
local asked_name, unused_name, at_name = ARGV[1] .. ':asked', ARGV[1] .. ':unused', ARGV[1] .. ':at'
local now = tonumber(redis.call('TIME')[1])
local kept = redis.call('HMGET', KEYS[1], asked_name, unused_name, at_name)
local faded = 0.5 ^ ((now - (tonumber(kept[3]) or now)) / HALF_LIFE_S)
local asked, unused = (tonumber(kept[1]) or 0) * faded, (tonumber(kept[2]) or 0) * faded
if ARGV[2] == 'made' then
  asked, unused = asked * FADE, unused * FADE + 1
elseif ARGV[2] == 'used' then
  asked, unused = asked + 1, math.max(0, unused - 1)
end
if ARGV[2] ~= 'read' then
  redis.call('HSET', KEYS[1], asked_name, string.format('%.9g', asked), unused_name, string.format('%.9g', unused),
    at_name, now)
  redis.call('EXPIRE', KEYS[1], 2592000)
end
return {string.format('%.9g', asked), string.format('%.9g', unused)}
