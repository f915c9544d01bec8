-- SPDX-License-Identifier: MIT
-- Ends a job that we hold. ARGV: id, token, completed or failed, result (JSON) or reason, now in ms, most kept,
-- their age in s, most traces kept, attempts there were to be. Gives 1; -1, -2, -6 as check_lock; -3 it isn't active;
-- -4 its children haven't ended.
local id, token, state, value, now_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local good = check_lock(id, token)
if good ~= 1 then
    return good
end
if not call('LPOS', key('active'), id) then
    return -3
end
if state == 'completed' and (call('SCARD', key(id) .. ':dependencies') > 0 or call('ZCARD', key(id) .. ':unsuccessful') > 0) then
    return -4
end
unlock(id)
call('LREM', key('active'), -1, id)
local made = call('HINCRBY', key(id), 'atm', 1)
if state == 'failed' then
    add_trace(id, value, tonumber(ARGV[8]))
end
finish(id, state, value, now_ms, tonumber(ARGV[6]), tonumber(ARGV[7]), 'active')
if state == 'failed' and made >= tonumber(ARGV[9]) then
    emit('retries-exhausted', 'jobId', id, 'attemptsMade', made)
end
mark() -- a queue that allows only so many at a time has room again
emit_if_drained()
return 1
