-- SPDX-License-Identifier: MIT
-- Adds a job; one whose id was there is left as it is. ARGV: id, name, data, options (JSON), now in ms, delay in
-- ms, priority. Gives 1 added, 0 it was there.
local id, now_ms, delay, priority = ARGV[1], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

call('INCR', key('id'))
if call('EXISTS', key(id)) == 1 then
    emit('duplicated', 'jobId', id)
    return 0
end
call('HSET', key(id), 'name', ARGV[2], 'data', ARGV[3], 'opts', ARGV[4], 'timestamp', ARGV[5], 'delay', delay,
     'priority', priority, 'genie', 1) -- the last: that it has a record
emit('added', 'jobId', id, 'name', ARGV[2])
if delay > 0 then
    put_delayed(id, now_ms + delay)
    emit('delayed', 'jobId', id, 'delay', now_ms + delay)
else
    put_waiting(id, priority)
    emit('waiting', 'jobId', id)
end
return 1
