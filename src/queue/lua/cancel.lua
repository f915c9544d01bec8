-- SPDX-License-Identifier: MIT
-- Cancels a job. One that waits ends at once as failed; one that runs is asked to, which its worker sees when it
-- renews its lock. ARGV: id, now in ms, reason, most kept, their age in s. Gives 1 ended, 2 asked, 0 it had ended, -1
-- there is none.
local id = ARGV[1]
if call('EXISTS', key(id)) == 0 then
    return -1
end
local state = state_of(id)
if state == 'active' then
    ask_to_end(id)
    return 2
end
if state == 'completed' or state == 'failed' then
    return 0
end
unqueue(id)
finish(id, 'failed', ARGV[3], tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5]), state or 'waiting')
return 1
