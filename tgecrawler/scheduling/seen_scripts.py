"""The shared memory of fingerprints, in Lua.

A digest of 8 bytes stands for a fingerprint: the first two choose one of `BUCKETS`
strings, which holds the other six, one behind the other; together 62 bits, so that
among ten million a new one is taken for a known one once in 4e11 times. A string needs
no more for its thousandth digest than for its tenth, where a hash grows by half beyond
its bound for the compact form. APPEND leaves room for as much again, but writes six
bytes to the append-only file and not the whole bucket.

Age is bounded by generations, each as long as a fingerprint is to be known: the present
one and the one before are looked into, and each bucket expires with its generation.

Keys: ``df:GENERATION:BUCKET`` (string), ``seen`` (hash: how many in each generation).
"""

from __future__ import annotations

from hashlib import blake2b

BUCKETS = 16_384
DIGEST_BYTES = 8


def digest_of(fingerprint: bytes) -> bytes:
    """Return what stands for a fingerprint; evenly spread, whatever made the fingerprint."""
    return blake2b(fingerprint, digest_size=DIGEST_BYTES).digest()


# Expects P (prefix), now (ms) and seen_ms.
SEEN = f"""
local generation = math.floor(now / seen_ms)
local seen_more = {{[0] = 0, [1] = 0}}
local function bucket_of(digest, age)
  local a, b = string.byte(digest, 1, 2)
  local number = (a * 256 + b) % {BUCKETS}
  return P .. 'df:' .. string.format('%.0f', generation - age) .. ':' .. number
end
local function look_in(bucket, rest)
  local text = redis.call('GET', bucket)
  if not text then return nil end
  local at = string.find(text, rest, 1, true)
  while at and at % 6 ~= 1 do at = string.find(text, rest, at + 1, true) end
  return at, text
end
local function is_seen(digest)
  local rest = string.sub(digest, 3)
  return look_in(bucket_of(digest, 0), rest) or look_in(bucket_of(digest, 1), rest)
end
local function remember(digest)
  local bucket = bucket_of(digest, 0)
  if redis.call('APPEND', bucket, string.sub(digest, 3)) == 6 then
    redis.call('PEXPIREAT', bucket, string.format('%.0f', (generation + 2) * seen_ms))
  end
  seen_more[0] = seen_more[0] + 1
end
local function forget(digest)
  local rest = string.sub(digest, 3)
  for age = 0, 1 do
    local bucket = bucket_of(digest, age)
    local at, text = look_in(bucket, rest)
    if at then
      local others = string.sub(text, 1, at - 1) .. string.sub(text, at + 6)
      if others == '' then redis.call('DEL', bucket)
      else redis.call('SET', bucket, others, 'KEEPTTL') end
      seen_more[age] = seen_more[age] - 1
    end
  end
end
local function count_seen()
  for age = 0, 1 do
    if seen_more[age] ~= 0 then
      local name = string.format('%.0f', generation - age)
      redis.call('HINCRBY', P .. 'seen', name, seen_more[age])
      redis.call('HDEL', P .. 'seen', string.format('%.0f', generation - age - 2))
    end
  end
end
"""

NOW = """
local P = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# ARGV: seen_ms, digests. Answers 1 for each that is known; the others are from then on.
SEE = f"""{NOW}
local seen_ms = tonumber(ARGV[1])
{SEEN}
local known = {{}}
for at = 2, #ARGV do
  known[at - 1] = is_seen(ARGV[at]) and 1 or 0
  if known[at - 1] == 0 then remember(ARGV[at]) end
end
count_seen()
return known
"""

# ARGV: seen_ms, digests.
FORGET = f"""{NOW}
local seen_ms = tonumber(ARGV[1])
{SEEN}
for at = 2, #ARGV do forget(ARGV[at]) end
count_seen()
return 1
"""

# ARGV: seen_ms, first and last bucket. In steps, so that nobody waits long.
FORGET_BUCKETS = f"""{NOW}
local seen_ms = tonumber(ARGV[1])
{SEEN}
for age = 0, 1 do
  local name = string.format('%.0f', generation - age)
  for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
    redis.call('UNLINK', P .. 'df:' .. name .. ':' .. number)
  end
end
redis.call('DEL', P .. 'seen')
return 1
"""
