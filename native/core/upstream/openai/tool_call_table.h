// The tool calls of one choice: put in order, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json_progress.h"
#include "core/base/random_text.h"
#include "core/base/utf8.h"
#include "core/streams/event_log.h"

namespace sluice {

/// A piece of a call as the upstream sent it; missing fields are empty.
struct ToolCallPiece {
  std::optional<std::uint32_t> index = {};
  std::string_view id = {};         ///< Valid UTF-8.
  std::string_view name = {};       ///< Valid UTF-8.
  std::string_view arguments = {};  ///< A character may be split over the pieces of a call.
  Utf8Decoder::Surrogates surrogates = Utf8Decoder::Surrogates::kReplace;
  bool is_whole = false;  ///< A call of its own, not a piece of an earlier one.
};

/// Makes entries of the tool calls of one choice.
///
/// Assigns pieces to calls: by index and id, where one index with two ids means two calls; without
/// an index by id; without either a piece belongs to the latest call, unless it begins a new one.
///
/// Calls come out in the order of their appearance and one after the other: id and name once, as
/// soon as the name is known, then the arguments. The next call, and any other entry, waits until
/// the JSON of the open call is whole, or until `finish`. Arguments that arrive for a call after
/// that are dropped: they follow a whole JSON value. A call without an id, or with that of an
/// earlier call, gets one of its own; a call without arguments gets `{}`.
///
/// One thread at a time.
class ToolCallTable {
 public:
  static constexpr std::size_t kCallsMax = 1024;
  static constexpr std::size_t kHeldBytesMax = std::size_t{1} << 20;

  enum class Status : std::uint8_t { kOk, kTooManyCalls, kTooManyHeldBytes };

  /// Takes an entry (kToolCall, kToolArguments), whose views are valid during the call.
  using Emit = std::function<void(const Entry&)>;

  /// Before the pieces of each delta: two of them that have a name are of two calls, unless they
  /// have one id.
  void begin_delta() { ++delta_; }

  /// Takes a piece. Any status but kOk is final.
  Status take(const ToolCallPiece& piece, const RandomBits& random, const Emit& emit);

  /// Passes on an entry of another kind, now or after the open call.
  Status pass(const Entry& entry, const Emit& emit);

  /// Whether nothing of a call is missing or held.
  [[nodiscard]] bool is_closed() const { return first_ == calls_.size(); }

  /// The choice has ended: all calls come out and are closed. Later pieces may begin new ones.
  void finish(const RandomBits& random, const Emit& emit);

 private:
  struct Call {
    std::optional<std::uint32_t> index;
    std::string id;  // as sent, or generated
    std::string name;
    std::string held;  // arguments
    Utf8Decoder text;
    JsonProgress json;
    std::uint64_t delta = 0;  // the last one with a piece of it
    bool has_sent_id = false;
    bool is_open = false;    // its id and name have come out
    bool is_closed = false;  // so have its arguments
  };

  /// An entry that waits for the open call.
  struct Waiting {
    EntryKind kind;
    std::string text;
    std::string aux;
  };

  Call* find(const ToolCallPiece& piece);
  Call* find_by_index(const ToolCallPiece& piece);
  [[nodiscard]] bool begins_call(const Call& last, const ToolCallPiece& piece) const;
  void set_names(Call& call, const ToolCallPiece& piece);
  void take_arguments(Call& call, const ToolCallPiece& piece, const Emit& emit);
  void advance(const RandomBits& random, const Emit& emit);
  void open(Call& call, const RandomBits& random, const Emit& emit);
  void close(Call& call, const Emit& emit);
  void release(const Emit& emit);
  static std::size_t bytes_of(const Waiting& entry);
  [[nodiscard]] Status status() const;
  [[nodiscard]] bool is_id_taken(const Call& call) const;

  std::vector<Call> calls_;
  std::size_t first_ = 0;  // the first open call
  std::vector<Waiting> waiting_;
  std::size_t held_bytes_ = 0;
  std::uint64_t delta_ = 0;
  std::string scratch_;
};

}  // namespace sluice
