-- needs durable
-- Deletes a stream; its data stays while it has forks.
--
-- KEYS  durables:<space>
-- ARGV  prefix, clock, deadline, space, path
-- Returns {'OK'}; {'NONE'}; {'GONE'}, deleted before, with forks; {'LATE'}.
local prefix, space, path = ARGV[1], ARGV[4], ARGV[5]
local now = now_us(ARGV[2])
if is_late(now, ARGV[3]) then return { 'LATE' } end

local head = durable_find(prefix, space, path, math.floor(now / 1000))
if not head then return { 'NONE' } end
if head.deleted ~= '' then return { 'GONE' } end
durable_delete(prefix, head)
return { 'OK' }
