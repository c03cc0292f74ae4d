// Replies of Redis from the bytes of a connection.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/redis/port.h"

namespace sluice::redis {

/// Reads RESP2 with the reader of hiredis. In a build without hiredis every input is an error.
///
/// The memory that a reply takes grows with the bytes that were received, never with a length that
/// the peer announces. One thread.
class ReplyReader {
 public:
  enum class Status : std::uint8_t {
    kReply,  ///< The reply is complete.
    kMore,   ///< More bytes are needed.
    kBad,    ///< Not RESP2; `problem` has the reason. The connection is useless.
  };

  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  /// Whether this build has hiredis.
  static bool available();

  void feed(std::string_view bytes);
  /// The next reply of the bytes fed so far.
  Status next(Reply& reply);
  [[nodiscard]] const std::string& problem() const { return problem_; }

  /// Forgets everything, for a new connection.
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string problem_;
};

}  // namespace sluice::redis
