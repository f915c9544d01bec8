-- SPDX-License-Identifier: MIT
-- What a listener would have heard of jobs. ARGV: most bytes of a value, then the ids. Gives for each {state ('' when
-- it is in none, 'missing' when there is no such job), progress, returnvalue, failedReason, atm, processedOn,
-- finishedOn, 1 if a worker of BullMQ's has it locked}; a value that is longer is left out, and that of an end which isn't
-- its own.
local most = tonumber(ARGV[1])
local answers = {}

local NUMBER_MOST = 64

local function value(id, field, longest)
    if call('HSTRLEN', key(id), field) > longest then
        return ''
    end
    return call('HGET', key(id), field) or ''
end

local function is_theirs(id)
    local token = call('GET', key(id) .. ':lock')
    return token and string.sub(token, 1, 6) ~= 'genie:'
end

for i = 2, #ARGV do
    local id = ARGV[i]
    if call('TYPE', key(id)).ok ~= 'hash' then
        answers[#answers + 1] = {'missing'}
    else
        local state = state_of(id) or ''
        local done = state == 'completed'
        answers[#answers + 1] = {state, value(id, 'progress', NUMBER_MOST),
                                 done and value(id, 'returnvalue', most) or '',
                                 done and '' or value(id, 'failedReason', most), value(id, 'atm', NUMBER_MOST),
                                 value(id, 'processedOn', NUMBER_MOST), value(id, 'finishedOn', NUMBER_MOST),
                                 is_theirs(id) and 1 or 0}
    end
end
return answers
