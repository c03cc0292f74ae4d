-- needs kv
-- Reads a page of a range of keys.
--
-- KEYS  kv:<store>
-- ARGV  prefix, clock, deadline (ignored), space, from, to (in the format of ZRANGEBYLEX), whether
--       the order is descending, whether to return values (1 or 0), limit, bytes of values
--       that end a page with at least one item (empty: no limit), then the reads of a transaction, as
--       kv_obstacle takes it
-- Returns {'OK', version of the store, now_us, whether there are more keys, then key, version, kind, bytes,
-- end or '-', and value or '' of each}; {'MOVED'}; {'CONFLICT'}.
local kv = kv_open(KEYS[1], ARGV[4])
local from, to = ARGV[5], ARGV[6]
local descends, with_values, limit = ARGV[7] == '1', ARGV[8] == '1', tonumber(ARGV[9])
local bytes_left, start = tonumber(ARGV[10]), ARGV[11]
local now = now_us(ARGV[2])

local obstacle = kv_obstacle(kv, now, 11)
if obstacle then return { obstacle } end
local page = { 'OK', text_of(kv_version(kv)), kv_text(now), '0' }
local found = 0
while true do
  local keys
  local chunk = math.min(KV_CHUNK, limit - found + 1)
  if descends then
    keys = redis.call('ZREVRANGEBYLEX', kv.order, to, from, 'LIMIT', 0, chunk)
  else
    keys = redis.call('ZRANGEBYLEX', kv.order, from, to, 'LIMIT', 0, chunk)
  end
  if #keys == 0 then return page end
  local heads = redis.call('HMGET', kv.heads, unpack(keys))
  for i, key in ipairs(keys) do
    local head = kv_parse(heads[i])
    if kv_is_alive(head, now) then
      if start ~= '' and head.version > tonumber(start) then return { 'CONFLICT' } end
      local is_full = bytes_left and found > 0 and head.bytes > bytes_left
      if found == limit or is_full then
        page[4] = '1'
        return page
      end
      found = found + 1
      if bytes_left then bytes_left = bytes_left - head.bytes end
      local value = with_values and redis.call('HGET', kv.data, key) or ''
      local at = #page
      page[at + 1], page[at + 2], page[at + 3] = key, text_of(head.version), head.kind
      page[at + 4] = text_of(head.bytes)
      page[at + 5], page[at + 6] = head.ends and kv_text(head.ends) or '-', value
    end
  end
  if descends then to = '(' .. keys[#keys] else from = '(' .. keys[#keys] end
end
