"""What Redis does for the cache in one step each: Lua, so that no process sees half of it.

Keys, behind a prefix (KEYS[1], by which a cluster finds them): ``e:MEMBER`` (hash:
head h, body b, tags t; expires by itself), ``lru`` (sorted by last use), ``uses``
(sorted by number of uses), ``sizes`` (hash of bytes), ``bytes`` (their sum),
``t:TAG`` (set of members). A member is ``TIER:KEY``. What has expired stays in the
books until it is the least recently used and the bound is met, so that the sum is
never too low.
"""

from __future__ import annotations

from tgecrawler.redis_link import Script

OVERHEAD_BYTES = 1_000
"""What the keys above take for an entry, in Redis 7, beside its head, body and member."""

_FORGET = """
local p = KEYS[1]
local function untag(member)
  local tags = redis.call('HGET', p .. 'e:' .. member, 't')
  if tags then
    for _, tag in ipairs(cjson.decode(tags)) do redis.call('SREM', p .. 't:' .. tag, member) end
  end
end
local function forget(member)
  untag(member)
  redis.call('DEL', p .. 'e:' .. member)
  local size = redis.call('HGET', p .. 'sizes', member)
  if size then redis.call('DECRBY', p .. 'bytes', size) end
  redis.call('HDEL', p .. 'sizes', member)
  redis.call('ZREM', p .. 'lru', member)
  redis.call('ZREM', p .. 'uses', member)
  return size and 1 or 0
end
"""

WRITE = Script(
    _FORGET
    + """
local member, head, body, tags = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local keep_ms, now_s, size = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local most, step = tonumber(ARGV[8]), tonumber(ARGV[9])
local e = p .. 'e:' .. member
untag(member)
local old = redis.call('HGET', p .. 'sizes', member) or 0
redis.call('HSET', e, 'h', head, 'b', body, 't', tags)
redis.call('PEXPIRE', e, keep_ms)
redis.call('HSET', p .. 'sizes', member, size)
local bytes = redis.call('INCRBY', p .. 'bytes', size - old)
redis.call('ZADD', p .. 'lru', now_s, member)
redis.call('ZINCRBY', p .. 'uses', 1, member)
for _, tag in ipairs(cjson.decode(tags)) do
  local t = p .. 't:' .. tag
  redis.call('SADD', t, member)
  if redis.call('PTTL', t) < keep_ms then redis.call('PEXPIRE', t, keep_ms) end
end
local evicted = 0
while bytes > most and evicted < step do
  local oldest = redis.call('ZRANGE', p .. 'lru', 0, 0)[1]
  if not oldest then redis.call('SET', p .. 'bytes', 0) break end
  forget(oldest)
  bytes = tonumber(redis.call('GET', p .. 'bytes'))
  evicted = evicted + 1
end
return evicted
"""
)

WRITE_HEAD = Script("""
local p, member = KEYS[1], ARGV[1]
local e = p .. 'e:' .. member
if redis.call('EXISTS', e) == 0 then return 0 end
redis.call('HSET', e, 'h', ARGV[2])
redis.call('PEXPIRE', e, ARGV[3])
redis.call('ZADD', p .. 'lru', ARGV[4], member)
redis.call('ZINCRBY', p .. 'uses', 1, member)
for _, tag in ipairs(cjson.decode(redis.call('HGET', e, 't'))) do
  local t = p .. 't:' .. tag
  if redis.call('PTTL', t) < tonumber(ARGV[3]) then redis.call('PEXPIRE', t, ARGV[3]) end
end
return 1
""")

DROP_MEMBERS = Script(
    _FORGET
    + """
local dropped = 0
for at = 1, #ARGV do dropped = dropped + forget(ARGV[at]) end
return dropped
"""
)

# A set may name a member that was stored anew without the tag: the entry itself decides.
DROP_TAG = Script(
    _FORGET
    + """
local members = redis.call('SPOP', p .. 't:' .. ARGV[1], ARGV[2])
local dropped = 0
for _, member in ipairs(members) do
  local tags = redis.call('HGET', p .. 'e:' .. member, 't')
  local has = false
  if tags then
    for _, tag in ipairs(cjson.decode(tags)) do has = has or tag == ARGV[1] end
  end
  if has then dropped = dropped + forget(member) end
end
return {#members, dropped}
"""
)

# What is not in the books any more is not written into them anew.
USED = Script("""
local p = KEYS[1]
for at = 1, #ARGV, 3 do
  local member = ARGV[at]
  if redis.call('ZSCORE', p .. 'lru', member) then
    redis.call('ZINCRBY', p .. 'uses', ARGV[at + 1], member)
    redis.call('ZADD', p .. 'lru', 'XX', 'GT', ARGV[at + 2], member)
  end
end
return 1
""")
