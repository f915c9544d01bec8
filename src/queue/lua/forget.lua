-- SPDX-License-Identifier: MIT
-- Removes a job with all that it holds, for good. ARGV: id. One that runs is asked to end, and goes then. Gives 1 removed,
-- 2 asked, 0 there is none.
local id = ARGV[1]
if call('EXISTS', key(id)) == 0 then
    return 0
end
local state = state_of(id)
if state == 'active' then
    ask_to_end(id)
    return 2
end
unqueue(id)
call('ZREM', key('completed'), id)
call('ZREM', key('failed'), id)
delete_job(id)
emit('removed', 'jobId', id, 'prev', state or 'waiting')
return 1
