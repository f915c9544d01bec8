-- SPDX-License-Identifier: MIT
-- Reads what happened after an event; an answer has its bounds, whatever was written there. ARGV: the event's id ('$':
-- only where the events end now), most events, most bytes of a value (longer ones, and with 0 all, are left out), most
-- bytes of all (and a step more). Gives {the last event's id, 1 if there are no more, {name, job, value}, ...}; value: how
-- a job ended.
local at, most, value_most, sum_most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local STEP, NAME_MOST, ID_MOST = 20, 64, 512
local answer, sum = {at, 0}, 0

if at == '$' then
    local last = call('XREVRANGE', key('events'), '+', '-', 'COUNT', 1)
    return {last[1] and last[1][1] or '0-0', 1}
end

local function within(text, longest)
    return (text and #text <= longest) and text or ''
end

local function told_by(fields)
    local all = {}
    for i = 1, #fields, 2 do
        all[fields[i]] = fields[i + 1]
    end
    return {within(all.event, NAME_MOST), within(all.jobId, ID_MOST),
            within(all.returnvalue or all.failedReason, value_most)}
end

while #answer - 2 < most and sum < sum_most do
    local entries = call('XRANGE', key('events'), '(' .. at, '+', 'COUNT', STEP)
    for _, entry in ipairs(entries) do
        local told = told_by(entry[2])
        at = entry[1]
        sum = sum + #told[3]
        answer[#answer + 1] = told
    end
    if #entries < STEP then
        answer[2] = 1
        break
    end
end
answer[1] = at
return answer
