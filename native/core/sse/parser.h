// Incremental parser of server-sent events (text/event-stream), for upstream responses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// One event, as the HTML standard dispatches it. Everything is valid during `on_event` only.
struct SseEvent {
  std::string_view type;           ///< The `event` field; empty where the stream named none.
  std::string& data;               ///< The `data` lines joined by LF. The receiver may modify it.
  std::string_view last_event_id;  ///< The latest `id`, kept from event to event.
};

/// Receives the events of a parser. It must neither call the parser nor destroy it.
class SseSink {
 public:
  virtual ~SseSink() = default;
  virtual void on_event(const SseEvent& event) = 0;
  /// A `retry` field: the reconnection time the server asks for, in milliseconds.
  virtual void on_retry(std::uint64_t retry_ms) { static_cast<void>(retry_ms); }
  /// An unknown field, which the standard ignores.
  virtual void on_unknown_field(std::string_view name, std::string_view value) {
    static_cast<void>(name);
    static_cast<void>(value);
  }
  /// Whether an event with this first `data` line ends at the next `data` line, for servers that
  /// omit the blank line between events.
  virtual bool ends_event(std::string_view data) {
    static_cast<void>(data);
    return false;
  }
};

/// Parses one stream, on one thread at a time, without threads or sockets of its own.
///
/// Follows the HTML standard's section "Interpreting an event stream", on bytes: those of a field's
/// value are passed on unchanged, so that the consumer can also decode UTF-8 across events. (Every
/// byte with a meaning here is ASCII, which no UTF-8 error consumes; decoding first would find the
/// same lines and fields.)
///
/// The result does not depend on how the input is split. Each byte is examined a bounded number of
/// times, however small the pieces; a line within one piece is not copied. A stream that breaks off
/// needs no further call.
class SseParser {
 public:
  static constexpr std::size_t kEventBytesMaxDefault = std::size_t{1} << 20;

  enum class Status {
    kOk,
    kEventTooLarge,  ///< Final: everything after it is ignored.
  };

  /// `event_bytes_max` bounds the lines of one event taken together, and any single line
  /// (comments are counted singly, since heartbeats need never be followed by an event).
  explicit SseParser(std::size_t event_bytes_max = kEventBytesMaxDefault);

  /// Takes the next bytes and calls `sink` for each event they complete.
  Status push(std::string_view bytes, SseSink& sink);

  /// The stream has ended in good order: dispatches the event whose closing blank line never
  /// came, if any. The standard discards it; a consumer that follows the standard does not call
  /// this.
  void flush(SseSink& sink);

  [[nodiscard]] Status status() const { return status_; }

 private:
  std::string_view skip_byte_order_mark(std::string_view bytes);
  void take_line(std::string_view line, SseSink& sink);
  void take_field(std::string_view name, std::string_view value, SseSink& sink);
  void dispatch(SseSink& sink);
  bool admit(std::size_t more_bytes);

  std::size_t event_bytes_max_;
  std::size_t event_bytes_ = 0;  // Of the finished lines of the event under way.
  std::string line_;             // The start of a line whose end has not come yet.
  std::string data_;
  std::string type_;
  std::string last_event_id_;
  Status status_ = Status::kOk;
  std::uint8_t bom_bytes_ = 0;  // How many bytes of a leading BOM were seen; kBomDone when past.
  bool has_data_ = false;
  bool has_more_data_ = false;   // Of several lines.
  bool skip_line_feed_ = false;  // The last piece ended in CR: a LF that follows belongs to it.
};

}  // namespace sluice
