// Events of OpenAI's Responses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/faces/face_options.h"
#include "core/faces/frame_writer.h"
#include "core/faces/response_items.h"
#include "core/faces/response_object.h"

namespace sluice {

/// Writes entries as items of a response's output. An item is open from its first entry to the
/// first of another item; its done form is read from the log.
///
/// Frames are numbered from 0: `id:` and `sequence_number`. Extra entries are left out.
class ResponsesFace final : public Face {
 public:
  explicit ResponsesFace(FaceOptions options);

  void open(std::string& out) override;
  void write(std::string& out, std::uint32_t choice, const Job& job,
             const EventLog::Event& event) override;
  void write_answer(std::string& out, const Job& job) const override;
  void keep_alive(std::string& out) override;

 private:
  void write_lifecycle(std::string& out, std::string_view type, std::string_view status);
  void write_entry(std::string& out, const EventLog& log, const EventLog::Event& event);
  void write_delta(std::string& out, const EventLog::Event& event);
  void write_ending(std::string& out, const Job& job, const EventLog::Event& event);

  void append_response(std::string& out, const Job& job, ResponseObject::State state,
                       std::uint64_t until, std::string_view last_status) const;

  void open_item(std::string& out, const EventLog::Event& event);
  void open_part(std::string& out, const EventLog::Event& event);
  void close_part(std::string& out, const EventLog& log, std::uint64_t until);
  void close_call(std::string& out, const EventLog& log, std::uint64_t until);
  void close_item(std::string& out, const EventLog& log, std::uint64_t until,
                  std::string_view status);
  void set_delta_prefix(EntryKind kind);

  bool begin(std::string& out, std::string_view type);
  void append_item_place(std::string& out) const;
  void append_part_place(std::string& out) const;

  FaceOptions options_;
  FrameCounter frames_;
  ResponseObject response_;
  ResponseItems items_;
  bool done_ = false;

  std::optional<ItemType> item_;  // the open one
  std::uint64_t item_index_ = 0;  // of the open item, or of the next
  std::uint64_t item_from_ = 0;   // seq of its first entry
  std::optional<EntryKind> part_;
  std::uint64_t part_index_ = 0;  // of the open part, or of the item's next
  std::uint64_t part_from_ = 0;   // seq of its first entry
  std::string_view delta_type_;   // of the entries of the open part
  std::string delta_prefix_;      // of their frames, after the sequence number
};

}  // namespace sluice
