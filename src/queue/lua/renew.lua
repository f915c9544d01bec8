-- SPDX-License-Identifier: MIT
-- Renews locks. ARGV: lock in ms, then id and token of each. Gives a number for each: 1 renewed, 2 renewed, and
-- somebody asked to cancel it, 0 the lock is lost.
local answers = {}
for i = 2, #ARGV, 2 do
    local id = ARGV[i]
    if check_lock(id, ARGV[i + 1]) == 1 then
        call('SET', key(id) .. ':lock', ARGV[i + 1], 'PX', ARGV[1])
        call('SREM', key('stalled'), id)
        answers[#answers + 1] = call('HEXISTS', key(id), 'cancel') == 1 and 2 or 1
    else
        answers[#answers + 1] = 0
    end
end
return answers
