-- States and outputs of the nodes of an operation, hashes by node id: see `keys_of_nodes`. Changes are a flat
-- list of ids, states (JSON; empty: removed) and outputs (JSON; empty: as before, `-`: none).

local function write_nodes(prefix, id, changes, ttl_ms)
  local nodes, outputs = unpack(keys_of_nodes(prefix, id))
  for i = 1, #changes, 3 do
    local node, state, output = changes[i], changes[i + 1], changes[i + 2]
    if state == '' then
      redis.call('HDEL', nodes, node)
    else
      redis.call('HSET', nodes, node, state)
    end
    if output == '-' then
      redis.call('HDEL', outputs, node)
    elseif output ~= '' then
      redis.call('HSET', outputs, node, output)
    end
  end
  if #changes > 0 then expire_nodes(prefix, id, ttl_ms) end
end
