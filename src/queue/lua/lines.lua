-- SPDX-License-Identifier: MIT
-- The last lines of a job's log. ARGV: id, most lines, most bytes of one; what is longer is cut off.
local lines = call('LRANGE', key(ARGV[1]) .. ':logs', -tonumber(ARGV[2]), -1)
for i, line in ipairs(lines) do
    lines[i] = string.sub(line, 1, tonumber(ARGV[3]))
end
return lines
