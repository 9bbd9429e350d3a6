"""What Redis does for the shared feed clock in one step each.

Keys, behind a prefix with one hash tag: ``due`` (sorted set: source by the moment, in
ms, from which it may be taken: its next poll, or the end of the lease of whoever
polls it now), ``cycle`` (the same for the sources that a running cycle has still to
ask; 0 = nobody has them), ``holder`` (hash: source to the token of its lease),
``polled`` (hash: source to the moment of its last finished poll, in ms), ``state`` and
``settled`` (hashes: source to what is known of it, as its workers wrote it), ``epoch``
(string: another one once the server has lost its keys, and a cycle with them).
Moments are those of the server's clock, since machines differ.
"""

from __future__ import annotations

from tgecrawler.redis_link import Script

_COMMON = """
local P = KEYS[1]
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
"""

# ARGV: token, how long ago a poll counts as one of this cycle (ms), then a source and when
# it is due
BEGIN = Script(
    _COMMON
    + """
local now, recent, begun = now_ms(), tonumber(ARGV[2]), 0
redis.call('SET', P .. 'epoch', ARGV[1] .. ' ' .. now, 'NX')
for i = 3, #ARGV, 2 do
  local source, due = ARGV[i], tonumber(ARGV[i + 1])
  local polled = tonumber(redis.call('HGET', P .. 'polled', source) or '0')
  if due <= now and now - polled >= recent then
    begun = begun + redis.call('ZADD', P .. 'cycle', 'NX', 0, source)
  end
end
return {begun, redis.call('GET', P .. 'epoch')}
"""
)

# ARGV: set to take from, token, lease (ms), most, then sources each with when it is due
# at the latest: one that the set of due ones has lost, as after a FLUSHDB, is put there again
TAKE = Script(
    _COMMON
    + """
local set, token, lease, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local now, left, next_ms, taken, ready = now_ms(), 0, -1, {}, {}
for i = 5, #ARGV, 2 do
  local source = ARGV[i]
  local at = redis.call('ZSCORE', P .. set, source)
  if not at and set == 'due' then
    at = ARGV[i + 1]
    redis.call('ZADD', P .. set, at, source)
  end
  if at then
    at, left = tonumber(at), left + 1
    if at <= now then ready[#ready + 1] = {at, source}
    elseif next_ms < 0 or at < next_ms then next_ms = at end
  end
end
table.sort(ready, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
for i, one in ipairs(ready) do
  if i > most then
    next_ms = now
    break
  end
  local source = one[2]
  redis.call('ZADD', P .. 'due', now + lease, source)
  redis.call('ZADD', P .. 'cycle', 'XX', now + lease, source)
  redis.call('HSET', P .. 'holder', source, token)
  local state = redis.call('HGET', P .. 'state', source) or ''
  local settled = redis.call('HGET', P .. 'settled', source) or ''
  taken[#taken + 1] = {source, state, settled}
end
local wait = -1
if next_ms >= 0 then wait = math.max(0, next_ms - now) end
return {left, wait, taken, redis.call('GET', P .. 'epoch') or ''}
"""
)

# ARGV: token, lease (ms), sources
PROLONG = Script(
    _COMMON
    + """
local token, until_ms, held = ARGV[1], now_ms() + tonumber(ARGV[2]), {}
for i = 3, #ARGV do
  if redis.call('HGET', P .. 'holder', ARGV[i]) == token then
    redis.call('ZADD', P .. 'due', 'XX', until_ms, ARGV[i])
    redis.call('ZADD', P .. 'cycle', 'XX', until_ms, ARGV[i])
    held[#held + 1] = ARGV[i]
  end
end
return held
"""
)

# ARGV: token, then a source, when it is due next (ms from now), and its state
FINISH = Script(
    _COMMON
    + """
local token, now, finished = ARGV[1], now_ms(), 0
for i = 2, #ARGV, 3 do
  local source, holder = ARGV[i], redis.call('HGET', P .. 'holder', ARGV[i])
  if holder == token or not holder then
    redis.call('ZADD', P .. 'due', now + tonumber(ARGV[i + 1]), source)
    redis.call('ZREM', P .. 'cycle', source)
    redis.call('HDEL', P .. 'holder', source)
    redis.call('HSET', P .. 'polled', source, now)
    redis.call('HSET', P .. 'state', source, ARGV[i + 2])
    finished = finished + 1
  end
end
return finished
"""
)

# ARGV: token, sources
GIVE_BACK = Script(
    _COMMON
    + """
for i = 2, #ARGV do
  if redis.call('HGET', P .. 'holder', ARGV[i]) == ARGV[1] then
    redis.call('ZADD', P .. 'due', 'XX', now_ms(), ARGV[i])
    redis.call('ZADD', P .. 'cycle', 'XX', 0, ARGV[i])
    redis.call('HDEL', P .. 'holder', ARGV[i])
  end
end
return 0
"""
)
