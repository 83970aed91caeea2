-- One step in the life of a node: all of it, or nothing.
-- KEYS  its life, its former life, then of each topic: the topic's nodes, who is there by this node
-- ARGV  the number of the step before, of this one, how long to live (ms), how long topics are
--       kept (s), the node, then for each topic: how many to put, how many to drop,
--       client and value of each to put, client of each to drop
-- Gives the topics (from 0) where nobody is left by this node, or nil: Redis knows another life.
local before = redis.call('GET', KEYS[1]) or ''
if before == ARGV[2] then -- sent again: its answer was lost
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return {}
elseif before ~= ARGV[1] then
    return false
end

local now, kept, node = tonumber(redis.call('TIME')[1]), tonumber(ARGV[4]), ARGV[5]
local empty, at = {}, 6
for topic = 3, #KEYS, 2 do
    local nodes, infos = KEYS[topic], KEYS[topic + 1]
    local puts, drops = 2 * tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    at = at + 2
    if puts > 0 then
        redis.call('HSET', infos, unpack(ARGV, at, at + puts - 1))
        at = at + puts
    end
    if drops > 0 then
        redis.call('HDEL', infos, unpack(ARGV, at, at + drops - 1))
        at = at + drops
    end
    if redis.call('EXPIRE', infos, kept) == 1 then
        redis.call('ZADD', nodes, now, node)
        redis.call('ZREMRANGEBYSCORE', nodes, '-inf', now - kept)
        redis.call('EXPIRE', nodes, kept)
    else
        redis.call('ZREM', nodes, node)
        empty[#empty + 1] = (topic - 3) / 2
    end
end
if ARGV[1] == '' then
    redis.call('DEL', KEYS[2])
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return empty
