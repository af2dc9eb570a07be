-- One more point (ARGV[2] tokens, ARGV[3] seconds) in a model's faded sums. ARGV[1]: what the old ones keep of their weight.
local sums = redis.call('HMGET', KEYS[1], 'n', 'x', 'y', 'xx', 'xy')
local x, y = tonumber(ARGV[2]), tonumber(ARGV[3])
local add = {1, x, y, x * x, x * y}
local names = {'n', 'x', 'y', 'xx', 'xy'}
for i, name in ipairs(names) do
  redis.call('HSET', KEYS[1], name, string.format('%.17g', (tonumber(sums[i]) or 0) * ARGV[1] + add[i]))
end
