"""What Redis does for the shared gate in one step: Lua, so that no worker sees half of it.

KEYS[1] is the prefix, ``{tge:1:gate}:``, by which a cluster finds all keys behind it:

- ``epoch``: a name that is new whenever Redis has lost its keys,
- ``h:HOST`` hash: ``sent`` (the latest start), ``begun`` (the latest grant), ``gap``,
  ``limit`` and ``delay`` (a robots.txt's) with ``…_at`` (when somebody told them last),
  ``until`` (end of a rest), ``strikes``, ``struck``, ``status`` (the answer that began
  the rest); expires when nothing of it counts any more,
- ``o:HOST`` sorted set: who may ask the host now, a token by when it counts as dead,
- ``w:HOST`` sorted set: who waits, a token by when it came; ``d:HOST`` hash: by when
  each of them will have asked again.

All moments are milliseconds of Redis' own clock; workers tell and are told spans alone,
since their clocks differ. Every step bears to be done twice: a round that was cut off is
sent again.
"""

from __future__ import annotations

from tgecrawler.redis_link import Script

LONGEST_WAIT_MS = 30_000
"""After which a waiter asks again in any case."""

_HOST = """
local p = KEYS[1]
local batch = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local DAY, TOLD_FOR, GONE_AFTER, BUSY = 86400000, 600000, 60000, {20, 250}

local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, math.ceil(ms)) end
end

-- The politer of what is told and what others told last; theirs is forgotten after a while.
local function politer(changes, name, told, held, held_at, more_is_politer, kept_for)
  held, held_at = tonumber(held), tonumber(held_at)
  if held and now - held_at <= kept_for then
    if told ~= held and (told < held) == more_is_politer then return held end
    if told == held and now - held_at < kept_for / 10 then return held end
  end
  table.insert(changes, name) table.insert(changes, told)
  table.insert(changes, name .. '_at') table.insert(changes, now)
  return told
end

local function started(h, ago)
  if ago < 0 then return end
  local sent = tonumber(redis.call('HGET', h, 'sent'))
  if not sent or sent < now - ago then redis.call('HSET', h, 'sent', now - ago) end
end

local function hold(host, token)
  local o = p .. 'o:' .. host
  redis.call('ZADD', o, now + batch.expiry, token)
  redis.call('PEXPIRE', o, GONE_AFTER)
end

local function leave_queue(host, token)
  redis.call('ZREM', p .. 'w:' .. host, token)
  redis.call('HDEL', p .. 'd:' .. host, token)
end
"""

_TELL = """
-- What a worker knows of a host: its crawl-delay, rest, strikes, and when it was asked last.
local function tell(host, delay, left, strikes, struck_ago, status, kept, ago)
  local h = p .. 'h:' .. host
  local f = redis.call('HMGET', h, 'delay', 'delay_at', 'until', 'struck')
  local changes = {}
  if delay > 0 or f[1] then politer(changes, 'delay', delay, f[1], f[2], true, DAY) end
  if left > 0 and now + left > (tonumber(f[3]) or 0) then
    for _, part in ipairs({'until', now + left, 'status', status}) do
      table.insert(changes, part)
    end
  end
  -- a second of grace: a span is told as of when it was read
  if struck_ago >= 0 and now - struck_ago >= (tonumber(f[4]) or 0) - 1000 then
    for _, part in ipairs({'strikes', strikes, 'struck', now - struck_ago}) do
      table.insert(changes, part)
    end
  end
  started(h, ago)
  if #changes > 0 then redis.call('HSET', h, unpack(changes)) end
  keep(h, math.max(kept, delay > 0 and DAY or TOLD_FOR))
end
"""

_TAKE = """
-- How many wait who came before; one that should have asked again by now is passed over.
local function ahead_of(host, token)
  local w, d = p .. 'w:' .. host, p .. 'd:' .. host
  local queue = redis.call('ZRANGE', w, 0, 99)
  if #queue == 0 or queue[1] == token then return 0 end
  local dues, ahead = redis.call('HMGET', d, unpack(queue)), 0
  for at, other in ipairs(queue) do
    if other == token then return ahead end
    local late = now - (tonumber(dues[at]) or 0)
    if late <= 0 then ahead = ahead + 1
    elseif late > batch.expiry then leave_queue(host, other) end
  end
  return ahead
end

local function take(host, token, gap, delay, limit)
  local h, o = p .. 'h:' .. host, p .. 'o:' .. host
  local f = redis.call('HMGET', h, 'sent', 'begun', 'gap', 'gap_at', 'limit', 'limit_at',
    'delay', 'delay_at', 'until', 'strikes', 'struck', 'status')
  local changes = {}
  gap = politer(changes, 'gap', gap, f[3], f[4], true, TOLD_FOR)
  limit = politer(changes, 'limit', limit, f[5], f[6], false, TOLD_FOR)
  if delay > 0 or f[7] then
    delay = politer(changes, 'delay', delay, f[7], f[8], true, DAY)
  end
  local spacing = math.max(gap, delay)
  -- a clock that was set back must not make a host wait for longer than its gap
  local sent = math.min(tonumber(f[1]) or -spacing, now)
  local gap_left, rest_left = sent + spacing - now, (tonumber(f[9]) or 0) - now
  redis.call('ZREMRANGEBYSCORE', o, '-inf', now)
  local granted, ahead, wait = redis.call('ZSCORE', o, token), 0, 0
  if granted then
    hold(host, token)  -- asked again, since the answer had not arrived
  else
    local free = limit - redis.call('ZCARD', o)
    ahead = ahead_of(host, token)
    local turn = ahead == 0 or (spacing == 0 and ahead < free)
    granted = rest_left <= 0 and gap_left <= 0 and free > 0 and turn
    if granted then
      leave_queue(host, token)
      hold(host, token)
      for _, part in ipairs({'sent', now, 'begun', now}) do table.insert(changes, part) end
    else
      wait = math.max(rest_left, gap_left, 1)
      if free <= 0 then  -- nobody knows for how long: ask in proportion to how long it has been
        local busy = math.min(math.max((now - (tonumber(f[2]) or now)) / 8, BUSY[1]), BUSY[2])
        wait = math.max(wait, busy)
      end
      if ahead > 0 then
        wait = math.max(wait, math.min(wait + ahead * math.max(spacing, 50), 2000))
      end
      wait = math.ceil(math.min(wait, batch.longest))
      redis.call('ZADD', p .. 'w:' .. host, 'NX', now, token)
      redis.call('HSET', p .. 'd:' .. host, token, now + wait * 1.25 + 300)
      redis.call('PEXPIRE', p .. 'w:' .. host, GONE_AFTER)
      redis.call('PEXPIRE', p .. 'd:' .. host, GONE_AFTER)
    end
  end
  if #changes > 0 then redis.call('HSET', h, unpack(changes)) end
  keep(h, delay > 0 and DAY or math.max(TOLD_FOR, 2 * spacing))
  local struck = tonumber(f[11])
  return {granted and 1 or 0, wait, ahead, math.max(0, math.ceil(rest_left)),
    tonumber(f[10]) or 0, struck and math.ceil(now - struck) or -1, tonumber(f[12]) or 0}
end
"""

_ROUND = """
local epoch = redis.call('GET', p .. 'epoch')
if not epoch then
  epoch = batch.fresh
  redis.call('SET', p .. 'epoch', epoch)
end
-- Whoever knew what is lost tells it anew before anybody of them takes a turn.
local lost = batch.epoch ~= '' and batch.epoch ~= epoch
for _, it in ipairs(batch.tell) do tell(unpack(it)) end
for _, it in ipairs(batch.sent) do
  started(p .. 'h:' .. it[1], it[2])
end
for _, it in ipairs(batch.leave) do
  started(p .. 'h:' .. it[1], it[3])
  redis.call('ZREM', p .. 'o:' .. it[1], it[2])
  leave_queue(it[1], it[2])
end
for _, it in ipairs(batch.hold) do
  started(p .. 'h:' .. it[1], it[3])
  hold(it[1], it[2])
end
local answers = {}
if not lost then
  for _, it in ipairs(batch.take) do table.insert(answers, take(unpack(it))) end
end
return {epoch, lost and 1 or 0, answers}
"""

ROUND = Script(_HOST + _TELL + _TAKE + _ROUND)
"""ARGV[1], JSON: ``epoch`` (the one known; "" = none yet), ``fresh`` (its name if it is new),
``expiry`` and ``longest`` (ms), and lists of what is to be done, in this order: ``tell``
(host, delay, rest left, strikes, struck ago, status, to be kept for, started ago),
``sent`` (host, started ago), ``leave`` and ``hold`` (host, token, started ago), ``take``
(host, token, gap, delay, limit). Spans are milliseconds; -1 = none.

Returns the epoch, whether it is another than the one known (then nothing was taken), and
for each of ``take``: granted, ms to wait, how many are ahead, ms left of a rest, strikes,
ms since the last of them (-1 = none) and its status (0 = not known).
"""
