-- SPDX-License-Identifier: MIT
-- Adds a line to a job's log. ARGV: id, line, most lines kept. Gives their number, or -1 when there is no job.
if call('EXISTS', key(ARGV[1])) == 0 then
    return -1
end
local n = call('RPUSH', key(ARGV[1]) .. ':logs', ARGV[2])
call('LTRIM', key(ARGV[1]) .. ':logs', -tonumber(ARGV[3]), -1)
return math.min(n, tonumber(ARGV[3]))
