-- SPDX-License-Identifier: MIT
-- Takes the next job and locks it. ARGV: now in ms, token, lock in ms, worker's name, most bytes of a job.
-- Gives {1, id, name, data, opts, timestamp, atm, ats, stc, defa, genie}, or {0, ms until it is worth asking again: -1
-- unknown}, or {2, id} for a job that is larger than its worker takes: it is locked like any.
local now_ms, token, lock_ms, worker, most = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

-- The queue's own limit of jobs in a time, if it has one: ms to wait, or 0.
local function limited()
    local most_jobs = tonumber(call('HGET', key('meta'), 'max'))
    if most_jobs and (tonumber(call('GET', key('limiter'))) or 0) >= most_jobs then
        return math.max(call('PTTL', key('limiter')), 0)
    end
    return 0
end

local function count_limited()
    local limits = call('HMGET', key('meta'), 'max', 'duration')
    if limits[1] and limits[2] and call('INCR', key('limiter')) == 1 then
        call('PEXPIRE', key('limiter'), math.floor(math.abs(tonumber(limits[2]))))
    end
end

local function next_id()
    local id = call('RPOPLPUSH', key('wait'), key('active'))
    if id then
        return id
    end
    local first = call('ZPOPMIN', key('prioritized'))
    if first[1] then
        call('LPUSH', key('active'), first[1])
        return first[1]
    end
    call('DEL', key('pc'))
end

-- Ids without a job are what a removal by hand leaves behind, or the markers of BullMQ 4.
local function next_job()
    for _ = 1, 100 do
        local id = next_id()
        if not id or call('EXISTS', key(id)) == 1 then
            return id
        end
        call('LREM', key('active'), 1, id)
    end
end

promote(now_ms)
local wait_ms = limited()
if wait_ms > 0 or is_held() then
    return {0, wait_ms > 0 and wait_ms or -1}
end
local id = next_job()
if not id then
    local first = call('ZRANGE', key('delayed'), 0, 0, 'WITHSCORES')
    return {0, first[2] and math.max(math.floor(tonumber(first[2]) / DELAY_UNIT) - now_ms, 0) or -1}
end
count_limited()
call('SET', key(id) .. ':lock', token, 'PX', lock_ms)
emit('active', 'jobId', id, 'prev', 'waiting')
call('HSET', key(id), 'processedOn', now_ms, 'pb', worker)
call('HINCRBY', key(id), 'ats', 1)
mark() -- there may be more
local size = 0
for _, field in ipairs({'name', 'data', 'opts', 'defa'}) do
    size = size + call('HSTRLEN', key(id), field)
end
if size > most then
    return {2, id}
end
local job = call('HMGET', key(id), 'name', 'data', 'opts', 'timestamp', 'atm', 'ats', 'stc', 'defa', 'genie')
return {1, id, unpack(job, 1, 9)}
