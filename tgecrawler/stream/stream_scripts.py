"""What Redis does for the stream in one step each: Lua, so that no process sees half of it."""

from __future__ import annotations

from tgecrawler.redis_link import Script

_LAST = """
local stream = KEYS[1]
local function last_id()
  if redis.call('EXISTS', stream) == 0 then return '0-0' end
  local told = redis.call('XINFO', 'STREAM', stream)
  for at = 1, #told, 2 do
    if told[at] == 'last-generated-id' then return told[at + 1] end
  end
end
"""

LAST = Script(_LAST + "return last_id()")
"""The id that was given last, also where its entry is gone; "0-0" where there was none."""

APPEND = Script(
    _LAST
    + """
local last = last_id()
if last ~= ARGV[1] then return {0, last} end
local most, at = ARGV[2], 3
while at < #ARGV do
  local count = tonumber(ARGV[at + 1])
  last = ARGV[at]
  redis.call('XADD', stream, 'MAXLEN', '~', most, last, unpack(ARGV, at + 2, at + 1 + count))
  at = at + 2 + count
end
return {1, last}
"""
)
"""Adds messages if the last id is still the one that is expected: 1 and the last id, else 0
and the one that is there. Arguments: that id, the most messages to be kept, and for each
message its id, the number of the parts that follow, and these: fields and values."""

HELD = Script("""
local held = {}
for at, id in ipairs(ARGV) do held[at] = #redis.call('XRANGE', KEYS[1], id, id) end
return held
""")
"""For each id 1 where the stream has its entry, else 0."""

# In one step, or a message that a consumer is just given would go with it.
TIDY = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local gone = 0
for _, told in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local one = {}
  for at = 1, #told, 2 do one[told[at]] = told[at + 1] end
  if one['pending'] == 0 and one['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], one['name'])
    gone = gone + 1
  end
end
return gone
""")
"""Forgets the consumers of a group that hold nothing and were idle for so many milliseconds."""

# In one step, or a consumer that reads meanwhile would be set back by it.
MISSED = Script("""
local stream, group = KEYS[1], ARGV[1]
if redis.call('EXISTS', stream) == 0 then return 0 end
local function told_of(reply)
  local found = {}
  for at = 1, #reply, 2 do found[reply[at]] = reply[at + 1] end
  return found
end
for _, reply in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local mine = told_of(reply)
  if mine['name'] == group and mine['entries-read'] then
    local all = told_of(redis.call('XINFO', 'STREAM', stream))
    local cut = all['entries-added'] - all['length']
    if cut > mine['entries-read'] then
      local last = mine['last-delivered-id']
      redis.call('XGROUP', 'SETID', stream, group, last, 'ENTRIESREAD', cut)
      return cut - mine['entries-read']
    end
  end
end
return 0
""")
"""How many entries were cut off the begin before a group read them; each is told once. Redis
before 7 does not count them."""
