-- SPDX-License-Identifier: MIT
-- Finds jobs whose worker is gone: those that were active at the last check and whose lock has run out since. They
-- wait again, or, after too many times, are to fail by whoever takes them next (`defa`), which is BullMQ's way too.
-- ARGV: now in ms, ms between checks, most times a job may stall. Gives the ids that it moved. The checks have a key of
-- their own: BullMQ's workers, who check every 30 s, don't hold them up; and one that comes sooner harms nobody, since
-- only a job without a lock is moved.
if not call('SET', key('genie-stalled-check'), ARGV[1], 'PX', ARGV[2], 'NX') then
    return {}
end
local moved = {}
for _, id in ipairs(call('SMEMBERS', key('stalled'))) do
    if call('EXISTS', key(id) .. ':lock') == 0 and call('LREM', key('active'), 1, id) > 0 then
        if call('EXISTS', key(id)) == 1 then
            if call('HINCRBY', key(id), 'stc', 1) > tonumber(ARGV[3]) then
                call('HSET', key(id), 'defa', 'job stalled')
            end
            call('RPUSH', waits_in(), id)
            mark()
            emit('waiting', 'jobId', id, 'prev', 'active')
            emit('stalled', 'jobId', id)
            moved[#moved + 1] = id
        end
    end
end
call('DEL', key('stalled'))
for _, id in ipairs(call('LRANGE', key('active'), 0, -1)) do
    call('SADD', key('stalled'), id)
end
return moved
