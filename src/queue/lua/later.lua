-- SPDX-License-Identifier: MIT
-- Puts a job that we hold back, to run again. ARGV: id, token, now in ms, delay in ms (0: at once, before its
-- equals), whether this was an attempt (1 or 0), reason ('': none), most traces kept. Gives 1, or as in finish.lua.
local id, token, now_ms, delay = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local good = check_lock(id, token)
if good ~= 1 then
    return good
end
if not call('LPOS', key('active'), id) then
    return -3
end
unlock(id)
call('LREM', key('active'), -1, id)
if ARGV[5] == '1' then
    call('HINCRBY', key(id), 'atm', 1)
end
if ARGV[6] ~= '' then
    call('HSET', key(id), 'failedReason', ARGV[6])
    add_trace(id, ARGV[6], tonumber(ARGV[7]))
end
if delay > 0 then
    call('HSET', key(id), 'delay', delay)
    put_delayed(id, now_ms + delay)
    emit('delayed', 'jobId', id, 'delay', now_ms + delay)
else
    put_back(id, priority_of(id))
    emit('waiting', 'jobId', id, 'prev', 'active')
end
return 1
