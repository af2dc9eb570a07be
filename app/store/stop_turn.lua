-- running → running, to be stopped by whoever produces it, now or later. KEYS: the turn. Answers its state, if there is one.
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'running' then redis.call('HSET', KEYS[1], 'stop', '1') end
return state
