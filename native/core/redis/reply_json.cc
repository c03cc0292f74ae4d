#include "core/redis/reply_json.h"

#include "core/base/json_writer.h"

namespace sluice::redis {

void append_json(std::string& out, const Reply& reply) {
  switch (reply.kind) {
    case Reply::Kind::kNil:
      out.append("null");
      break;
    case Reply::Kind::kInteger:
      out.append(std::to_string(reply.integer));
      break;
    case Reply::Kind::kText:
      append_json_string(out, reply.text);
      break;
    case Reply::Kind::kError:
      out.append("{\"error\":");
      append_json_string(out, reply.text);
      out.push_back('}');
      break;
    case Reply::Kind::kArray: {
      // hiredis bounds the depth.
      out.push_back('[');
      bool first = true;
      for (const Reply& item : reply.items) {
        if (!first) out.push_back(',');
        first = false;
        append_json(out, item);
      }
      out.push_back(']');
      break;
    }
  }
}

}  // namespace sluice::redis
