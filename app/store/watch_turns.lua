-- Turns that were met running: to be heard of within ARGV[1] ms (Redis's clock), unless that is known of them already. Their
-- place here can have been lost when Redis failed over, and their process can have died before it said so again.
-- KEYS: the running turns. ARGV: for how long from now, then the turns.
local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'NX', until_ms, ARGV[i]) end
