-- SPDX-License-Identifier: MIT
-- Jobs that a FlowProducer has given a parent: the parent, which may be of another queue, waits in
-- `waiting-children` until its `dependencies` are gone. For scripts that end a job.

local function parent_goes_on(parent, parent_queue, parent_id, now_ms)
    local own = prefix
    if call('ZREM', parent_queue .. ':waiting-children', parent_id) == 0 then
        return
    end
    prefix = parent_queue .. ':'
    local delay = tonumber(call('HGET', parent, 'delay')) or 0
    if delay > 0 then
        put_delayed(parent_id, now_ms + delay)
        emit('delayed', 'jobId', parent_id, 'delay', now_ms + delay)
    else
        local priority = priority_of(parent_id)
        if priority > 0 then
            put_waiting(parent_id, priority)
        else
            put_back(parent_id, priority)
        end
        emit('waiting', 'jobId', parent_id, 'prev', 'waiting-children')
    end
    prefix = own
end

local function parent_fails(parent, queue, parent_id, child, now_ms)
    if call('ZREM', queue .. ':delayed', parent_id) == 1 then
        call('HSET', parent, 'delay', 0)
        call('ZADD', queue .. ':waiting-children', now_ms, parent_id)
    end
    if call('EXISTS', parent) == 1 and not call('ZSCORE', queue .. ':failed', parent_id) then
        call('HSET', parent, 'defa', 'child ' .. child .. ' failed')
    end
    parent_goes_on(parent, queue, parent_id, now_ms)
end

local function goes_on_if_alone(parent, queue, parent_id, now_ms)
    if call('SCARD', parent .. ':dependencies') == 0 then
        parent_goes_on(parent, queue, parent_id, now_ms)
    end
end

-- Tells the parent how its child ended; `value`: the return value or the reason.
local function tell_parent(id, state, value, now_ms)
    local text = call('HGET', key(id), 'parent')
    local good, of = pcall(cjson.decode, text or 'null')
    if not good or type(of) ~= 'table' or type(of.queueKey) ~= 'string' or not of.id then
        return
    end
    local child, parent_id = key(id), tostring(of.id)
    local parent = of.queueKey .. ':' .. parent_id
    local listens = state == 'completed' or of.fpof or of.cpof or of.idof or of.rdof
    if not listens or call('SREM', parent .. ':dependencies', child) == 0 then
        return
    end
    if state == 'completed' then
        call('HSET', parent .. ':processed', child, value)
        goes_on_if_alone(parent, of.queueKey, parent_id, now_ms)
    elseif of.fpof then
        call('ZADD', parent .. ':unsuccessful', now_ms, child)
        parent_fails(parent, of.queueKey, parent_id, child, now_ms)
    elseif of.cpof then
        call('HSET', parent .. ':failed', child, value)
        parent_goes_on(parent, of.queueKey, parent_id, now_ms)
    else
        if of.idof then
            call('HSET', parent .. ':failed', child, value)
        end
        goes_on_if_alone(parent, of.queueKey, parent_id, now_ms)
    end
end
