-- running → done | stopped | failed: the last event, the turn's result and what it adds to the transcript, in one step.
-- KEYS: session, turn, journal, transcript, ends.
-- ARGV: turn id, epoch, entry id, last frame, seconds to keep the journal, then appended bytes (or ''), its end,
--       the next prefix's digest, size and breakpoints, the answer's message id, then the turn's fields and values.
local turn = redis.call('HMGET', KEYS[2], 'state', 'epoch')
if turn[2] ~= ARGV[2] or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if turn[1] ~= 'running' then
  -- Ended by this very entry, whose answer got lost, or by another.
  local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
  return last and last[1] == ARGV[3] and 1 or 0
end
redis.call('XADD', KEYS[3], ARGV[3], 'f', ARGV[4], 'e', '1')
redis.call('EXPIRE', KEYS[3], ARGV[5])
redis.call('HSET', KEYS[2], unpack(ARGV, 12))
if ARGV[6] ~= '' then
  redis.call('APPEND', KEYS[4], ARGV[6])
  redis.call('RPUSH', KEYS[5], ARGV[7])
  local session = redis.call('HMGET', KEYS[1], 'digests', 'sizes')
  redis.call('HSET', KEYS[1], 'digests', session[1] .. ',' .. ARGV[8], 'sizes', session[2] .. ',' .. ARGV[9],
    'breakpoints', ARGV[10], 'last_message', ARGV[11])
end
if redis.call('HGET', KEYS[1], 'running') == ARGV[1] then redis.call('HSET', KEYS[1], 'running', '') end
return 1
