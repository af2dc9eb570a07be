-- An owner's name comes to mean a context, if the owner may have so much. KEYS: names, and the bytes under each.
-- ARGV: name, context, its bytes, most names, most bytes (-1: any). Answers {'', the id before or false},
-- or {'contexts' or 'bytes', how much there is}, and then nothing has changed.
local name, context, bytes = ARGV[1], ARGV[2], tonumber(ARGV[3])
local most, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local before = redis.call('HGET', KEYS[1], name)
if most >= 0 and not before and redis.call('HLEN', KEYS[1]) >= most then
  return {'contexts', redis.call('HLEN', KEYS[1])}
end
if most_bytes >= 0 then
  local held = 0
  for _, size in ipairs(redis.call('HVALS', KEYS[2])) do held = held + tonumber(size) end
  local freed = tonumber(redis.call('HGET', KEYS[2], name) or 0)
  if held - freed + bytes > most_bytes then return {'bytes', held} end
end
redis.call('HSET', KEYS[1], name, context)
redis.call('HSET', KEYS[2], name, bytes)
return {'', before}
