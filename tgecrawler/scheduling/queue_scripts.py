"""What the leased queue does in one step each: Lua, so that no worker sees half of it.

Keys, behind the prefix, which is also the one key that a cluster routes by; what is not
there means 0 or "":

- ``req`` hash, id to value: all requests that are in the queue or leased. A value is ``1``,
  8 bytes of digest (zeros: none), ``host TAB score TAB group LF`` and the payload.
- ``tries`` hash, id to ``attempts TAB reclaims TAB token``, of those that have any; the
  token is that of the lease that ran out last.
- ``q:HOST`` sorted set, id by score: the lower goes first. A score is made of the priority
  and of a running number (``seq``), so that equals keep their order.
- ``ready`` sorted set, host by the score of its first: hosts that may be asked.
  ``waiting`` sorted set, host by moment: those that may not before it.
- ``held`` hash, id to ``token TAB host TAB 1``; 0 = its answer has come, and the host's
  place is free. ``leases`` sorted set, id by deadline. ``act`` hash, host to places taken.
- ``delayed`` sorted set, id by moment: not in its host's queue before.
- ``marks`` hash, id to digests that a lease has marked on its way (redirects).
- ``dead`` hash, id to JSON, LF and value. ``died`` sorted set, id by moment.
- ``g:GROUP`` hash: open, unfinished, closed, payload; expires.
- ``workers`` sorted set, name by when it was heard of; ``busy`` likewise, of those that have
  something to do which is not in the queue. ``beat`` string: when anybody was heard of.
  ``amnesty`` string: no lease runs out before it expires.
- ``last:WORKER`` string: number and answer of a worker's last round; expires.
- ``df:…`` and ``seen``: see ``seen_scripts.py``.

Moments are milliseconds of Redis's own clock.
"""

from __future__ import annotations

from tgecrawler.scheduling.seen_scripts import NOW, SEEN

MOST_DEAD = 100_000  # the oldest go first
FAR_MS = 60_000  # what is due later does not keep a crawl open
BEHIND_FROM = 2  # reclaims: from then on a request queues up anew among those of its priority
LONGEST_PAUSE_MS = 50_000  # between attempts; below FAR_MS
GROUP_TTL_S = 7 * 86_400
WORKER_KEPT_MS = 86_400_000
REPLY_KEPT_S = 600
MOST_REPLY_BYTES = 4_000_000
MOST_VALUE_BYTES = 1_100_000

VALUES = """
local function head_of(value)
  if string.sub(value, 1, 1) ~= '1' then return nil end
  local host, score, group, at =
    string.match(value, '^([^\\t\\n]*)\\t(%-?%d+)\\t([\\33-\\126]*)\\n()', 10)
  if not at then return nil end
  return {host = host, score = score, group = group, at = at, digest = string.sub(value, 2, 9)}
end
local NO_DIGEST = string.rep('\\0', 8)
"""

# Which hosts may be asked; expects `ask.per_host`.
HOSTS = """
local places, touched = {}, {}
local function take_places(host, count)
  places[host] = (places[host] or 0) + count
  touched[host] = true
end
local function enqueue(id, host, score)
  redis.call('ZADD', P .. 'q:' .. host, score, id)
  touched[host] = true
end
local function settle_hosts()
  for host, change in pairs(places) do
    if change ~= 0 and redis.call('HINCRBY', P .. 'act', host, change) <= 0 then
      redis.call('HDEL', P .. 'act', host)
    end
  end
  for host in pairs(touched) do
    local first = redis.call('ZRANGE', P .. 'q:' .. host, 0, 0, 'WITHSCORES')
    local may = first[1] and not redis.call('ZSCORE', P .. 'waiting', host)
    if may and ask.per_host > 0 then
      may = tonumber(redis.call('HGET', P .. 'act', host) or 0) < ask.per_host
    end
    if may then redis.call('ZADD', P .. 'ready', first[2], host)
    else redis.call('ZREM', P .. 'ready', host) end
  end
  places, touched = {}, {}
end
"""

_ENDS = f"""
local closed, closed_payloads, reclaimed, buried = {{}}, {{}}, 0, 0
local function close_if_done(group)
  local key = P .. 'g:' .. group
  local found = redis.call('HMGET', key, 'closed', 'open', 'unfinished', 'payload')
  if found[1] == '1' and tonumber(found[2] or 0) <= 0 then
    closed[#closed + 1] = {{group, tonumber(found[3] or 0)}}
    closed_payloads[#closed_payloads + 1] = found[4] or ''
    redis.call('DEL', key)
  end
end
local function step_group(group, unfinished)
  local key = P .. 'g:' .. group
  if group == '' or redis.call('EXISTS', key) == 0 then return end
  redis.call('HINCRBY', key, 'open', -1)
  if unfinished > 0 then redis.call('HINCRBY', key, 'unfinished', unfinished) end
  close_if_done(group)
end
local function tries_of(id)
  local text = redis.call('HGET', P .. 'tries', id)
  if not text then return 0, 0, '' end
  local attempts, reclaims, token = string.match(text, '^(%d+)\\t(%d+)\\t(.*)$')
  return tonumber(attempts or 0), tonumber(reclaims or 0), token or ''
end
local function note_tries(id, attempts, reclaims, token)
  redis.call('HSET', P .. 'tries', id, attempts .. '\\t' .. reclaims .. '\\t' .. token)
end
local function remove(id)
  redis.call('HDEL', P .. 'req', id)
  redis.call('HDEL', P .. 'tries', id)
end
local function forget_marks(id)
  local digests = redis.call('HGET', P .. 'marks', id)
  if not digests then return end
  for at = 1, #digests, 8 do forget(string.sub(digests, at, at + 7)) end
  redis.call('HDEL', P .. 'marks', id)
end
local function bury(id, value, reason, attempts, reclaims)
  remove(id)
  local head = head_of(value)
  if head and head.digest ~= NO_DIGEST then forget(head.digest) end
  local note = {{reason = reason, attempts = attempts, reclaims = reclaims, at = now}}
  redis.call('HSET', P .. 'dead', id, cjson.encode(note) .. '\\n' .. value)
  redis.call('ZADD', P .. 'died', now, id)
  if redis.call('ZCARD', P .. 'died') > {MOST_DEAD} then
    redis.call('HDEL', P .. 'dead', redis.call('ZPOPMIN', P .. 'died')[1])
  end
  buried = buried + 1
  if head then step_group(head.group, 1) end
end
local function holder_of(id)
  local text = redis.call('HGET', P .. 'held', id)
  if not text then return nil end
  return string.match(text, '^(.*)\\t(.*)\\t(%d)$')
end
local function end_lease(id, host, in_flight)
  redis.call('HDEL', P .. 'held', id)
  redis.call('ZREM', P .. 'leases', id)
  if in_flight == '1' then take_places(host, -1) end
end
local function put_back(id, value, host)
  local head = head_of(value)
  enqueue(id, head and head.host or host, head and head.score or '0')
end
"""

_PUSH = f"""
local argument = 1
local function next_argument()
  argument = argument + 1
  return ARGV[argument]
end
local pushed, is_full = {{}}, false
local numbered = #ask.offers > 0 and redis.call('INCRBY', P .. 'seq', #ask.offers) - #ask.offers
local count = redis.call('HLEN', P .. 'req')
for at, offer in ipairs(ask.offers) do
  local id, host, priority, delay_ms, group, bounded = unpack(offer)
  local digest, payload = next_argument(), next_argument()
  local status = 'n'
  if redis.call('HEXISTS', P .. 'req', id) == 1 then status = 'q'
  elseif digest ~= '' and is_seen(digest) then status = 's'
  elseif bounded == 1 and count >= ask.most then
    status = 'f'
    is_full = true
  else
    count = count + 1
    local score = string.format('%.0f', -priority * 2 ^ 38 + (numbered + at) % 2 ^ 38)
    if digest ~= '' then remember(digest) else digest = NO_DIGEST end
    local head = host .. '\\t' .. score .. '\\t' .. group .. '\\n'
    redis.call('HSET', P .. 'req', id, '1' .. digest .. head .. payload)
    if delay_ms > 0 then redis.call('ZADD', P .. 'delayed', now + delay_ms, id)
    else enqueue(id, host, score) end
    if group ~= '' then
      redis.call('HINCRBY', P .. 'g:' .. group, 'open', 1)
      redis.call('EXPIRE', P .. 'g:' .. group, {GROUP_TTL_S})
    end
  end
  pushed[at] = status
end
local marked = {{}}
for at, mark in ipairs(ask.marks) do
  local digest = next_argument()
  if holder_of(mark[1]) ~= mark[2] then marked[at] = 'l'
  elseif is_seen(digest) then marked[at] = 's'
  else
    remember(digest)
    local before = redis.call('HGET', P .. 'marks', mark[1]) or ''
    redis.call('HSET', P .. 'marks', mark[1], before .. digest)
    marked[at] = 'n'
  end
end
"""

_ACK = f"""
for _, one in ipairs(ask.landed) do
  local token, host, in_flight = holder_of(one[1])
  if token == one[2] and in_flight == '1' then
    redis.call('HSET', P .. 'held', one[1], token .. '\\t' .. host .. '\\t0')
    take_places(host, -1)
  end
end
for _, ack in ipairs(ask.acks) do
  local id, mine, verdict, reason, delay_ms, rest_ms, unfinished, jitter = unpack(ack)
  local token, host, in_flight = holder_of(id)
  local value = redis.call('HGET', P .. 'req', id)
  local attempts, reclaims, last = tries_of(id)
  if token == mine then
    end_lease(id, host, in_flight)
    if verdict == 'done' then redis.call('HDEL', P .. 'marks', id) else forget_marks(id) end
  elseif verdict == 'done' and not token and last == mine and value then
    -- the lease ran out, but nobody has begun it anew
    local head = head_of(value)
    if head then
      redis.call('ZREM', P .. 'q:' .. head.host, id)
      touched[head.host] = true
    end
  else
    value = nil
  end
  if value then
    local head = head_of(value)
    if verdict == 'done' then
      remove(id)
      if head then step_group(head.group, unfinished) end
    elseif verdict == 'refused' then
      bury(id, value, reason, attempts, reclaims)
    elseif verdict == 'failed' then
      attempts = attempts + 1
      if attempts >= ask.attempts then bury(id, value, reason, attempts, reclaims)
      else
        note_tries(id, attempts, reclaims, '')
        local pause = math.min(ask.retry_ms * 2 ^ (attempts - 1), {LONGEST_PAUSE_MS})
        redis.call('ZADD', P .. 'delayed', math.floor(now + pause * (0.5 + jitter / 2)), id)
      end
    elseif delay_ms > 0 then
      redis.call('ZADD', P .. 'delayed', now + delay_ms, id)
    else
      put_back(id, value, host)
      if verdict == 'later' and rest_ms > 0 then
        redis.call('ZADD', P .. 'waiting', 'GT', now + rest_ms, head and head.host or host)
      end
    end
  end
end
for _, close in ipairs(ask.closes) do
  local key = P .. 'g:' .. close[1]
  redis.call('HSET', key, 'closed', 1, 'payload', next_argument())
  redis.call('EXPIRE', key, {GROUP_TTL_S})
  if close[2] > 0 then redis.call('HINCRBY', key, 'unfinished', close[2]) end
  close_if_done(close[1])
end
"""

# A gap in which nobody was heard of means that Redis was away, or that there were no workers:
# then nobody could prolong anything, and those who come back have the time to do so.
_BEAT = f"""
local function beat(worker)
  local last = tonumber(redis.call('GET', P .. 'beat') or now)
  if now - last > math.max(ask.lease_ms / 3, 1000) then
    redis.call('SET', P .. 'amnesty', 1, 'PX', ask.lease_ms)
  end
  if now - last >= 250 or last == now then redis.call('SET', P .. 'beat', now) end
  redis.call('ZADD', P .. 'workers', now, worker)
  redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', now - {WORKER_KEPT_MS})
end
"""

# What takes workers down must not be the first that each new one gets; and where workers die for
# other reasons, those that happened to be at hand are not the same ones each time.
_DUE = f"""
local function put_behind(id, value, host)
  local head = head_of(value)
  local score = tonumber(head and head.score or 0)
  local behind = math.floor(score / 2 ^ 38) * 2 ^ 38 + redis.call('INCR', P .. 'seq') % 2 ^ 38
  enqueue(id, head and head.host or host, string.format('%.0f', behind))
end
if redis.call('EXISTS', P .. 'amnesty') == 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', now, 'LIMIT', 0, 500)) do
    local token, host, in_flight = holder_of(id)
    end_lease(id, host or '', in_flight)
    forget_marks(id)
    local value = redis.call('HGET', P .. 'req', id)
    if value then
      local attempts, reclaims = tries_of(id)
      reclaims = reclaims + 1
      reclaimed = reclaimed + 1
      if reclaims >= ask.reclaims then
        bury(id, value, 'reclaimed ' .. reclaims .. ' times', attempts, reclaims)
      else
        note_tries(id, attempts, reclaims, token or '')
        if reclaims >= {BEHIND_FROM} then put_behind(id, value, host or '')
        else put_back(id, value, host or '') end
      end
    end
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', now, 'LIMIT', 0, 500)) do
  redis.call('ZREM', P .. 'delayed', id)
  local value = redis.call('HGET', P .. 'req', id)
  if value then put_back(id, value, '') end
end
for _, host in ipairs(redis.call('ZRANGEBYSCORE', P .. 'waiting', '-inf', now, 'LIMIT', 0, 500)) do
  redis.call('ZREM', P .. 'waiting', host)
  touched[host] = true
end
settle_hosts()
"""

# The first of the first host, and what of the same host comes before the first of the next.
_LEASE = f"""
local token = ask.worker .. '#' .. ask.number
local leased, payloads, bytes = {{}}, {{}}, 0
local alive = redis.call('ZCOUNT', P .. 'workers', now - ask.lease_ms, '+inf')
local share = math.ceil(redis.call('HLEN', P .. 'req') / math.max(alive, 1)) - ask.mine
local want = math.min(ask.want, math.max(share, ask.mine == 0 and 1 or 0))
while #leased < want and bytes < {MOST_REPLY_BYTES} do
  local top = redis.call('ZRANGE', P .. 'ready', 0, 1, 'WITHSCORES')
  local host = top[1]
  if not host then break end
  local queue, most = P .. 'q:' .. host, want - #leased
  if ask.per_host > 0 then
    most = math.min(most, ask.per_host - tonumber(redis.call('HGET', P .. 'act', host) or 0))
  end
  local ids = {{}}
  if most > 0 then
    ids = redis.call('ZRANGEBYSCORE', queue, '-inf', top[4] or '+inf', 'LIMIT', 0, most)
  end
  if #ids > 0 then
    local values = redis.call('HMGET', P .. 'req', unpack(ids))
    local taken = 0
    for at, id in ipairs(ids) do
      local value = values[at]
      if bytes >= {MOST_REPLY_BYTES} then break end
      redis.call('ZREM', queue, id)
      if value and (#id > 256 or not string.match(id, '^[\\33-\\126]+$')) then
        bury(id, value, 'no id of ours', 0, 0)
      elseif value and #value > {MOST_VALUE_BYTES} then
        bury(id, value, 'larger than any request of ours', 0, 0)
      elseif value then
        local head = head_of(value)
        local attempts, reclaims = tries_of(id)
        redis.call('HSET', P .. 'held', id, token .. '\\t' .. host .. '\\t1')
        redis.call('ZADD', P .. 'leases', now + ask.lease_ms, id)
        leased[#leased + 1] = {{id, attempts, reclaims, head and head.group or ''}}
        payloads[#payloads + 1] = head and string.sub(value, head.at) or value
        bytes = bytes + #value
        taken = taken + 1
      end
    end
    take_places(host, taken)
  end
  touched[host] = true
  settle_hosts()
end
"""

_ANSWER = f"""
count_seen()
local outstanding, wait_ms = redis.call('HLEN', P .. 'req'), -1
if outstanding > 0 and #leased == 0 then
  outstanding = outstanding - redis.call('ZCOUNT', P .. 'delayed', now + {FAR_MS}, '+inf')
  local far = redis.call('ZRANGEBYSCORE', P .. 'waiting', now + {FAR_MS}, '+inf')
  for _, host in ipairs(far) do
    outstanding = outstanding - redis.call('ZCARD', P .. 'q:' .. host)
  end
  for _, name in ipairs({{'delayed', 'waiting', 'leases'}}) do
    local first = redis.call('ZRANGE', P .. name, 0, 0, 'WITHSCORES')[2]
    if first and name == 'leases' then
      first = math.max(first, now + redis.call('PTTL', P .. 'amnesty'))
    end
    if first and (wait_ms < 0 or first - now < wait_ms) then
      wait_ms = math.max(0, first - now)
    end
  end
end
if ask.busy == 1 then redis.call('ZADD', P .. 'busy', now, ask.worker)
else redis.call('ZREM', P .. 'busy', ask.worker) end
redis.call('ZREMRANGEBYSCORE', P .. 'busy', '-inf', now - ask.lease_ms)
if ask.leaving == 1 then redis.call('ZREM', P .. 'workers', ask.worker) end
local others = redis.call('ZCARD', P .. 'busy') - ask.busy
local answer = cjson.encode({{
  pushed = table.concat(pushed), marked = table.concat(marked), leased = leased, closed = closed,
  outstanding = outstanding, others = others, reclaimed = reclaimed, buried = buried,
  wait_ms = wait_ms, full = is_full,
}})
if #pushed + #marked + #leased + #closed + #ask.closes > 0 then
  local kept = cmsgpack.pack({{ask.number, answer, leased, closed_payloads}})
  redis.call('SET', P .. 'last:' .. ask.worker, kept, 'EX', {REPLY_KEPT_S})
end
local reply = {{answer}}
for _, payload in ipairs(payloads) do reply[#reply + 1] = payload end
for _, payload in ipairs(closed_payloads) do reply[#reply + 1] = payload end
return reply
"""

# A worker that did not hear the answer asks the same again, under the same number.
_AGAIN = """
local last = redis.call('GET', P .. 'last:' .. ask.worker)
if last then
  local number, answer, leased, closed_payloads = unpack(cmsgpack.unpack(last))
  if number == ask.number then
    local reply = {answer}
    for _, one in ipairs(leased) do
      local value = redis.call('HGET', P .. 'req', one[1]) or ''
      local head = head_of(value)
      reply[#reply + 1] = head and string.sub(value, head.at) or value
    end
    for _, payload in ipairs(closed_payloads) do reply[#reply + 1] = payload end
    return reply
  end
end
"""

# The order of first writes decides what a Redis that is out of memory refuses: a script that has
# written once may go on, so one with offers fails as a whole, and one without them does not.
_FIRST_WRITE = f"""
if #ask.offers == 0 then
  redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', now - {WORKER_KEPT_MS})
end
beat(ask.worker)
"""

ROUND = f"""{NOW}
local ask = cjson.decode(ARGV[1])
local seen_ms = ask.seen_ms
{SEEN}{VALUES}{_AGAIN}{_BEAT}{HOSTS}{_ENDS}{_FIRST_WRITE}{_PUSH}{_ACK}{_DUE}{_LEASE}{_ANSWER}"""

# ARGV: JSON of worker, lease_ms and leases ([id, token] each). Answers the places of those lost.
PROLONG = f"""{NOW}
local ask = cjson.decode(ARGV[1])
{_BEAT}
redis.call('ZREMRANGEBYSCORE', P .. 'workers', '-inf', now - {WORKER_KEPT_MS})
beat(ask.worker)
local lost = {{}}
for at, one in ipairs(ask.leases) do
  local held = redis.call('HGET', P .. 'held', one[1])
  if held and string.match(held, '^(.*)\\t.*\\t%d$') == one[2] then
    redis.call('ZADD', P .. 'leases', now + ask.lease_ms, one[1])
  else
    lost[#lost + 1] = at - 1
  end
end
return lost
"""
