-- SPDX-License-Identifier: MIT
-- Pauses the queue for workers of all kinds, or lets it go on. ARGV: 1 or 0. Gives 1, or 0 when it was so.
local pause = ARGV[1] == '1'
if pause == is_paused() then
    return 0
end

-- Moves what waits from one list to the other, in order, behind what is there.
local function move(from, to)
    while true do
        local ids = call('LRANGE', from, -1000, -1) -- the end is what comes first
        if #ids == 0 then
            return
        end
        for i = #ids, 1, -1 do
            call('LPUSH', to, ids[i])
        end
        call('LTRIM', from, 0, -#ids - 1)
    end
end

if pause then
    call('HSET', key('meta'), 'paused', 1)
    if waits_in() == key('paused') then
        move(key('wait'), key('paused'))
    end
    call('DEL', key('marker'))
    emit('paused')
else
    call('HDEL', key('meta'), 'paused')
    move(key('paused'), key('wait'))
    if call('LLEN', key('wait')) + call('ZCARD', key('prioritized')) > 0 then
        mark()
    end
    mark_delayed()
    emit('resumed')
end
return 1
