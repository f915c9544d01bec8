-- SPDX-License-Identifier: MIT
-- What every script begins with. KEYS[1] is what all keys of a queue begin with, as in "bull:media-jobs:"; the
-- keys, fields and events are BullMQ's. A script is one change of state, and is done wholly or not at all: what
-- it asks for is looked at before anything is written.
local call = redis.call
local prefix = KEYS[1]

local DELAY_UNIT = 0x1000         -- scores of `delayed`: the time in ms times this, plus the order within it
local PRIORITY_UNIT = 0x100000000 -- scores of `prioritized`: the priority times this, plus the order among equals

local function key(name)
    return prefix .. name
end

local function most_events()
    local most = call('HGET', key('meta'), 'opts.maxLenEvents')
    if not most then
        most = '10000'
        call('HSET', key('meta'), 'opts.maxLenEvents', most)
    end
    return most
end

local function emit(event, ...)
    call('XADD', key('events'), 'MAXLEN', '~', most_events(), '*', 'event', event, ...)
end

local function is_paused()
    return call('HEXISTS', key('meta'), 'paused') == 1
end

-- Nothing may begin now: the queue is paused, or as many jobs run as its owner allows.
local function is_held()
    if is_paused() then
        return true
    end
    local most = call('HGET', key('meta'), 'concurrency')
    return most and call('LLEN', key('active')) >= tonumber(most)
end

-- BullMQ 5 keeps the jobs of a paused queue in `paused` and renames that list when the queue goes on, whatever
-- is in `wait`; 6 leaves them in `wait`. Whoever opened the queue last wrote its version.
local function waits_in()
    if not is_paused() then
        return key('wait')
    end
    local major = string.match(call('HGET', key('meta'), 'version') or '', '^bullmq:(%d+)')
    return (major and tonumber(major) >= 6) and key('wait') or key('paused')
end

-- Wakes a worker that waits at the marker.
local function mark()
    if not is_held() then
        call('ZADD', key('marker'), 0, '0')
    end
end

-- Tells workers when the next delayed job is due.
local function mark_delayed()
    local first = call('ZRANGE', key('delayed'), 0, 0, 'WITHSCORES')
    if first[2] then
        call('ZADD', key('marker'), tonumber(first[2]) / DELAY_UNIT, '1')
    end
end

local function put_delayed(id, due_ms)
    local low = due_ms * DELAY_UNIT
    local high = low + DELAY_UNIT - 1
    local last = call('ZREVRANGEBYSCORE', key('delayed'), high, low, 'WITHSCORES', 'LIMIT', 0, 1)
    local score = last[2] and math.min(tonumber(last[2]) + 1, high) or low
    call('ZADD', key('delayed'), score, id)
    mark_delayed()
end

-- Behind its equals.
local function put_waiting(id, priority)
    if priority > 0 then
        local order = call('INCR', key('pc')) % PRIORITY_UNIT
        call('ZADD', key('prioritized'), priority * PRIORITY_UNIT + order, id)
    else
        call('LPUSH', waits_in(), id)
    end
    mark()
end

-- Before its equals.
local function put_back(id, priority)
    if priority > 0 then
        call('ZADD', key('prioritized'), priority * PRIORITY_UNIT, id)
    else
        call('RPUSH', waits_in(), id)
    end
    mark()
end

local function priority_of(id)
    return tonumber(call('HGET', key(id), 'priority')) or 0
end

-- Delayed jobs that are due become waiting ones, at most 1000 at a time.
local function promote(now_ms)
    local due = call('ZRANGEBYSCORE', key('delayed'), 0, (now_ms + 1) * DELAY_UNIT - 1, 'LIMIT', 0, 1000)
    for _, id in ipairs(due) do
        call('ZREM', key('delayed'), id)
        put_waiting(id, priority_of(id))
        call('HSET', key(id), 'delay', 0)
        emit('waiting', 'jobId', id, 'prev', 'delayed')
    end
end

-- The state of a job as BullMQ names it; nil: it is in none. LPOS needs Redis 6.0.6.
local function state_of(id)
    for _, set in ipairs({'completed', 'failed', 'delayed', 'prioritized', 'waiting-children'}) do
        if call('ZSCORE', key(set), id) then
            return set
        end
    end
    if call('LPOS', key('active'), id) then
        return 'active'
    end
    if call('LPOS', key('wait'), id) or call('LPOS', key('paused'), id) then
        return 'waiting'
    end
end

local function delete_job(id)
    local job = key(id)
    call('DEL', job, job .. ':logs', job .. ':dependencies', job .. ':processed', job .. ':failed',
         job .. ':unsuccessful')
end

-- 1 when the job is locked with this token, -2 when with none, -6 when with another, -1 when there is no job.
local function check_lock(id, token)
    if call('EXISTS', key(id)) == 0 then
        return -1
    end
    local held = call('GET', key(id) .. ':lock')
    if held == token then
        return 1
    end
    return held and -6 or -2
end

local function unlock(id)
    call('DEL', key(id) .. ':lock')
    call('SREM', key('stalled'), id)
end

-- Takes a job that doesn't run out of whatever it waits in.
local function unqueue(id)
    for _, list in ipairs({'wait', 'paused'}) do
        call('LREM', key(list), 1, id)
    end
    for _, set in ipairs({'delayed', 'prioritized', 'waiting-children'}) do
        call('ZREM', key(set), id)
    end
end

-- Whoever runs the job sees it when its lock is renewed; the event, which is ours, says that it is time to look.
local function ask_to_end(id)
    call('HSET', key(id), 'cancel', 1)
    emit('cancel', 'jobId', id)
end

-- As BullMQ tells its listeners that nothing is left.
local function emit_if_drained()
    if call('LLEN', key('wait')) == 0 and call('LLEN', key('active')) == 0 and call('ZCARD', key('prioritized')) == 0 then
        emit('drained')
    end
end

-- Adds to the traces of a job's failures; only the latest `most` are kept.
local function add_trace(id, text, most)
    local good, traces = pcall(cjson.decode, call('HGET', key(id), 'stacktrace') or '[]')
    if not good or type(traces) ~= 'table' then
        traces = {}
    end
    traces[#traces + 1] = text
    while #traces > most do
        table.remove(traces, 1)
    end
    call('HSET', key(id), 'stacktrace', #traces > 0 and cjson.encode(traces) or '[]')
end
