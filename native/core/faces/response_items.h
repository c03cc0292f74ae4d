// The output items of a response, read from the log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/streams/event_log.h"

namespace sluice {

/// The type of an output item, and of a part of it.
enum class ItemType : std::uint8_t { kMessage, kReasoning, kCall };

/// The type of the item that an entry belongs to; nullopt for one that belongs to none.
std::optional<ItemType> item_type(EntryKind kind);

/// Entries of a log that form one output item, or one part of it: those from the seq `from` up to
/// `until`, without the ones that belong to no item.
struct EntrySpan {
  std::uint64_t from = 0;
  std::uint64_t until = 0;
};

/// Writes the done form of items. A pure function of the log: no text is kept.
class ResponseItems {
 public:
  /// @param tail the end of the items' ids
  /// @param summary reasoning is the item's summary instead of its content
  ResponseItems(std::string_view tail, bool summary) : tail_(tail), summary_(summary) {}

  /// Appends the id of the item at `index` of the output: `msg_T_k`, `rs_T_k`, `fc_T_k`.
  void append_id(std::string& out, ItemType type, std::uint64_t index) const;

  /// Appends an item as JSON.
  void append_item(std::string& out, const EventLog& log, EntrySpan span, std::uint64_t index,
                   std::string_view status) const;

  /// Appends the JSON array of all items before the seq `until`.
  /// @param last_status the status of the last item; the others are completed
  void append_output(std::string& out, const EventLog& log, std::uint64_t until,
                     std::string_view last_status) const;

  /// Appends a part of a message, or a part of a reasoning item: its content or its summary.
  void append_part(std::string& out, const EventLog& log, EntryKind kind, EntrySpan span) const;

  /// Appends the elements of the logprobs of a part of text.
  static void append_logprobs(std::string& out, const EventLog& log, EntrySpan span);

 private:
  void append_parts(std::string& out, const EventLog& log, EntrySpan span) const;

  std::string tail_;
  bool summary_;
};

}  // namespace sluice
