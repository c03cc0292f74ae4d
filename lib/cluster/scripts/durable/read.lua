-- needs durable
-- Reads a stream: its head, and data from a position on.
--
-- KEYS  durables:<space>
-- ARGV  prefix, clock, deadline (ignored), space, path, position (empty: the end), maximum bytes and appends
--       (0: the head alone), whether that counts as an access (1 or 0)
-- Returns {'OK', head (see `durable_shown`), position, whether an append begins there (1 or 0), position after the
-- data, then the data of each append; the first and the last one may be partial}; {'NONE'}.
local prefix, space, path = ARGV[1], ARGV[4], ARGV[5]
local now_ms = math.floor(now_us(ARGV[2]) / 1000)

local head = durable_find(prefix, space, path, now_ms)
if not head then return { 'NONE' } end
local tail = tonumber(head.tail)
local from = ARGV[6] == '' and tail or tonumber(ARGV[6])
if head.deleted ~= '' or from > tail then return { 'OK', durable_shown(head), text_of(from), '0', text_of(from) } end
if ARGV[9] == '1' then durable_touch(prefix, head, now_ms) end
local chunks, to = durable_read(prefix, head, from, tonumber(ARGV[7]), tonumber(ARGV[8]))
local is_boundary = durable_is_boundary(prefix, head, from) and '1' or '0'
local answer = { 'OK', durable_shown(head), text_of(from), is_boundary, text_of(to) }
for i, chunk in ipairs(chunks) do answer[5 + i] = chunk end
return answer
