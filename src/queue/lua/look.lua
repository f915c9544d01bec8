-- SPDX-License-Identifier: MIT
-- What a listener would have heard of jobs. ARGV: most bytes of a value, then the ids. Gives for each {state ('' when
-- it is in none, 'missing' when there is no such job), progress, returnvalue, failedReason, atm, processedOn,
-- finishedOn, 1 if a worker of BullMQ's has it locked}; a value that is longer is left out.
local most = tonumber(ARGV[1])
local answers = {}

local function value(id, field)
    if call('HSTRLEN', key(id), field) > most then
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
    if call('EXISTS', key(id)) == 0 then
        answers[#answers + 1] = {'missing'}
    else
        answers[#answers + 1] = {state_of(id) or '', value(id, 'progress'), value(id, 'returnvalue'),
                                 value(id, 'failedReason'), value(id, 'atm'), value(id, 'processedOn'),
                                 value(id, 'finishedOn'), is_theirs(id) and 1 or 0}
    end
end
return answers
