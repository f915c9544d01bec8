-- SPDX-License-Identifier: MIT
-- ARGV: id, token, progress (JSON). Gives 1, or what check_lock says.
local good = check_lock(ARGV[1], ARGV[2])
if good == 1 then
    call('HSET', key(ARGV[1]), 'progress', ARGV[3])
    emit('progress', 'jobId', ARGV[1], 'data', ARGV[3])
end
return good
