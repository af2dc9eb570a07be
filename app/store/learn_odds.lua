-- What became of warms by trigger ARGV[1]: made (ARGV[2] = 0, counts as unused), or used after all (1: moved over).
-- Older counts fade, so that habits can change. KEYS: a context's odds, kept for 30 days.
local FADE = 0.99
local names = {ARGV[1] .. ':asked', ARGV[1] .. ':unused'}
local counts = redis.call('HMGET', KEYS[1], names[1], names[2])
local asked, unused = tonumber(counts[1]) or 0, tonumber(counts[2]) or 0
if ARGV[2] == '0' then
  asked, unused = asked * FADE, unused * FADE + 1
else
  asked, unused = asked + 1, math.max(0, unused - 1)
end
redis.call('HSET', KEYS[1], names[1], string.format('%.9g', asked), names[2], string.format('%.9g', unused))
redis.call('EXPIRE', KEYS[1], 2592000)
