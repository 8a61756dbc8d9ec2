#!lua name=ringfence_v1
-- Heads are opaque here but for their first 16 bytes, the token. The new heads are computed by
-- dialer-limiter from the very heads whose tokens are compared, so a match means that nothing
-- happened in between.

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

-- A head moved in Postgres. KEYS: heads; ARGV: the token each moved from, then each new head.
-- A copy that stood at that token follows; any other copy is dropped, to be read again.
local function follow(keys, args)
    local n = #keys
    local held = redis.call('MGET', unpack(keys))
    for i = 1, n do
        if held[i] then
            if string.sub(held[i], 1, 16) == args[i] then
                redis.call('SET', keys[i], args[n + i])
            else
                redis.call('DEL', keys[i])
            end
        end
    end
    return 'OK'
end

redis.register_function('rf1_reserve', reserve)
redis.register_function('rf1_follow', follow)
