-- SPDX-License-Identifier: MIT
-- How a job comes to its end, whichever way it got there. It is in no list any more when this is called.

-- `most` finished jobs are kept (-1: all, 0: none), none longer than `age_s` (-1: for ever).
local function keep_finished(state, now_ms, most, age_s)
    local set = key(state)
    if age_s >= 0 then
        for _, id in ipairs(call('ZRANGEBYSCORE', set, '-inf', now_ms - age_s * 1000, 'LIMIT', 0, 1000)) do
            delete_job(id)
            call('ZREM', set, id)
        end
    end
    if most > 0 then
        for _, id in ipairs(call('ZREVRANGE', set, most, most + 999)) do
            delete_job(id)
            call('ZREM', set, id)
        end
    end
end

-- A key that kept others like it away; one with a time to live outlives the job.
local function end_deduplication(id)
    local name = call('HGET', key(id), 'deid')
    if name and call('PTTL', key('de:' .. name)) == -1 and call('GET', key('de:' .. name)) == id then
        call('DEL', key('de:' .. name))
    end
end

-- `value`: the result as JSON, or the reason.
local function finish(id, state, value, now_ms, most, age_s, previous)
    local field = state == 'completed' and 'returnvalue' or 'failedReason'
    end_deduplication(id)
    tell_parent(id, state, value, now_ms)
    if most == 0 then
        delete_job(id)
    else
        call('ZADD', key(state), now_ms, id)
        call('HSET', key(id), field, value, 'finishedOn', now_ms)
        call('HDEL', key(id), 'defa', 'cancel')
        keep_finished(state, now_ms, most, age_s)
    end
    emit(state, 'jobId', id, field, value, 'prev', previous)
end
