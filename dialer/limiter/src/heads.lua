#!lua name=ringfence_v2
-- Heads are opaque here but for their first 16 bytes, the token. The new heads are computed by
-- dialer-limiter from the very heads whose tokens are compared, so a match means that nothing
-- happened in between.
--
-- `lapse`: after how many milliseconds a copy goes by itself; '0': never, Redis evicts by itself.

local function put(key, head, lapse)
    if lapse == '0' then
        return redis.call('SET', key, head)
    end
    return redis.call('SET', key, head, 'PX', lapse)
end

-- KEYS: heads; ARGV: the token each was judged on, then each new head.
-- 'OK' when all matched and all were set; otherwise the heads as they are now, nothing changed.
local function reserve(keys, args)
    local n = #keys
    local held = redis.call('MGET', unpack(keys))
    for i = 1, n do
        if not held[i] or string.sub(held[i], 1, 16) ~= args[i] then
            return held
        end
    end
    -- A reservation lives as long as its permit may (10 s is twice that): one that is never committed
    -- must not deny for hours what never was. A committed one is read again from Postgres.
    for i = 1, n do
        redis.call('SET', keys[i], args[n + i], 'PX', 10000)
    end
    return 'OK'
end

-- A head moved in Postgres. KEYS: heads; ARGV: lapse, the token each moved from, then each new head.
-- A copy that stood at that token follows; any other copy is dropped, to be read again.
local function follow(keys, args)
    local n = #keys
    local held = redis.call('MGET', unpack(keys))
    for i = 1, n do
        if held[i] then
            if string.sub(held[i], 1, 16) == args[1 + i] then
                put(keys[i], args[1 + n + i], args[1])
            else
                redis.call('DEL', keys[i])
            end
        end
    end
    return 'OK'
end

-- Heads read from Postgres. KEYS: heads; ARGV: lapse, then for each '1' to replace the copy that is
-- there and '0' to leave it, then each head.
local function load(keys, args)
    local n = #keys
    for i = 1, n do
        local head, lapse = args[1 + n + i], args[1]
        if args[1 + i] == '1' then
            put(keys[i], head, lapse)
        elseif lapse == '0' then
            redis.call('SET', keys[i], head, 'NX')
        else
            redis.call('SET', keys[i], head, 'NX', 'PX', lapse)
        end
    end
    return 'OK'
end

-- Does nothing, but counts as a function that writes: Redis refuses it where it takes no writes.
local function ready()
    return 'OK'
end

redis.register_function('rf2_reserve', reserve)
-- Also when Redis is out of memory: the copy is there already, and grows by an entry at most.
redis.register_function{function_name = 'rf2_follow', callback = follow, flags = {'allow-oom'}}
redis.register_function('rf2_load', load)
redis.register_function('rf2_ready', ready)
