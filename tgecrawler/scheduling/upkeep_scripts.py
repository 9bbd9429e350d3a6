"""What an operator asks of the leased queue; its keys are described in ``queue_scripts.py``."""

from __future__ import annotations

from tgecrawler.scheduling.queue_scripts import HOSTS, VALUES
from tgecrawler.scheduling.seen_scripts import NOW, SEEN

STATS = f"""{NOW}
local function sum_of(key)
  local sum = 0
  for _, count in ipairs(redis.call('HVALS', P .. key)) do sum = sum + count end
  return sum
end
local oldest = redis.call('ZRANGE', P .. 'leases', 0, 0, 'WITHSCORES')[2]
local workers = {{}}
local heard = redis.call('ZRANGE', P .. 'workers', 0, -1, 'WITHSCORES')
for at = 1, #heard, 2 do workers[#workers + 1] = {{heard[at], now - heard[at + 1]}} end
return cjson.encode({{
  requests = redis.call('HLEN', P .. 'req'), leased = redis.call('ZCARD', P .. 'leases'),
  delayed = redis.call('ZCARD', P .. 'delayed'), dead = redis.call('HLEN', P .. 'dead'),
  tried = redis.call('HLEN', P .. 'tries'), in_flight = sum_of('act'), seen = sum_of('seen'),
  ready_hosts = redis.call('ZCARD', P .. 'ready'),
  waiting_hosts = redis.call('ZCARD', P .. 'waiting'),
  next_deadline_ms = oldest and oldest - now or -1, workers = workers,
}})
"""

# ARGV: seen_ms, ids. Answers how many went back to the queue, with all their attempts before
# them; a value that is none of ours stays. Its group has long been told that it is buried.
RETRY = f"""{NOW}
local ask = {{per_host = 0}}
local seen_ms = tonumber(ARGV[1])
{SEEN}{VALUES}{HOSTS}
local retried = 0
for at = 2, #ARGV do
  local id = ARGV[at]
  local record = redis.call('HGET', P .. 'dead', id)
  local value = record and string.sub(record, string.find(record, '\\n', 1, true) + 1)
  local head = value and head_of(value)
  if head then
    if redis.call('HEXISTS', P .. 'req', id) == 0 then
      local line = head.host .. '\\t' .. head.score .. '\\t\\n'
      redis.call('HSET', P .. 'req', id,
        '1' .. head.digest .. line .. string.sub(value, head.at))
      if head.digest ~= NO_DIGEST and not is_seen(head.digest) then remember(head.digest) end
      enqueue(id, head.host, head.score)
      retried = retried + 1
    end
    redis.call('HDEL', P .. 'dead', id)
    redis.call('ZREM', P .. 'died', id)
  end
end
settle_hosts()
count_seen()
return retried
"""

# A host with a queue is ready, or waits, or has all its places taken.
PURGE_QUEUE = """
local P = KEYS[1]
local purged = redis.call('HLEN', P .. 'req')
local function unlink_queues(hosts)
  for _, host in ipairs(hosts) do redis.call('UNLINK', P .. 'q:' .. host) end
end
unlink_queues(redis.call('ZRANGE', P .. 'ready', 0, -1))
unlink_queues(redis.call('ZRANGE', P .. 'waiting', 0, -1))
unlink_queues(redis.call('HKEYS', P .. 'act'))
for _, name in ipairs({'req', 'tries', 'ready', 'waiting', 'held', 'leases', 'act', 'delayed',
                       'marks'}) do
  redis.call('UNLINK', P .. name)
end
return purged
"""

PURGE_DEAD = """
local P = KEYS[1]
local purged = redis.call('HLEN', P .. 'dead')
redis.call('UNLINK', P .. 'dead', P .. 'died')
return purged
"""
