-- SPDX-License-Identifier: MIT
-- Gives the numbers of jobs: waiting, prioritised, active, delayed, completed, failed, waiting for children; then 1 if
-- the queue is paused.
return {call('LLEN', key('wait')) + call('LLEN', key('paused')), call('ZCARD', key('prioritized')),
        call('LLEN', key('active')), call('ZCARD', key('delayed')), call('ZCARD', key('completed')),
        call('ZCARD', key('failed')), call('ZCARD', key('waiting-children')), is_paused() and 1 or 0}
