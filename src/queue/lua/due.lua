-- SPDX-License-Identifier: MIT
-- Makes delayed jobs that are due waiting ones. ARGV: now in ms. Gives {1 if a job could be claimed, ms until the next
-- delayed one is due, -1: there is none}.
local now_ms = tonumber(ARGV[1])
promote(now_ms)
local waiting = call('LLEN', key('wait')) + call('ZCARD', key('prioritized'))
local first = call('ZRANGE', key('delayed'), 0, 0, 'WITHSCORES')
local next_ms = first[2] and math.max(math.floor(tonumber(first[2]) / DELAY_UNIT) - now_ms, 0) or -1
return {(waiting > 0 and not is_held()) and 1 or 0, next_ms}
