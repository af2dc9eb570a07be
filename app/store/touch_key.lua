-- Notes when a key was last used, unless it was revoked meanwhile. KEYS: the key. ARGV: seconds since the epoch.
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'used_s', ARGV[1]) end
