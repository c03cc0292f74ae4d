// Splits the bytes of a log into lines.
//
// One splitter per source, used by one thread at a time. After `finish` it is as new.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice {

/// One line, without its line end. Valid during the call.
struct LogLine {
  std::string_view bytes;
  bool cut = false;  ///< It was longer than the limit; the rest is dropped.
};

/// A line ends in LF or CRLF; a CR elsewhere is part of it. The result does not depend on how the
/// input is cut into pieces. A line within one piece is not copied; of any other at most
/// `line_bytes_max` bytes are held. A byte order mark at the beginning is dropped.
class LogLineSplitter {
 public:
  explicit LogLineSplitter(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  /// Calls `take(LogLine)` for each line that `bytes` completes.
  template <typename Take>
  void push(std::string_view bytes, Take&& take) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      const bool whole = end != std::string_view::npos;
      if (whole && seen_ == 0) {
        take(trim(bytes.substr(0, end), end));
      } else {
        hold(bytes.substr(0, end));
        if (!whole) return;
        take_held(take);
      }
      at_start_ = false;
      bytes.remove_prefix(end + 1);
    }
  }

  /// Ends the input: a last line without a line end counts.
  template <typename Take>
  void finish(Take&& take) {
    if (seen_ > 0) take_held(take);
    at_start_ = true;
  }

 private:
  static constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

  void hold(std::string_view part);
  [[nodiscard]] LogLine trim(std::string_view held, std::size_t length) const;

  template <typename Take>
  void take_held(Take& take) {
    const std::size_t length = last_is_cr_ ? seen_ - 1 : seen_;
    take(trim(std::string_view(held_).substr(0, length), length));
    seen_ = 0;
    last_is_cr_ = false;
    held_.clear();
  }

  std::size_t line_bytes_max_;
  std::string held_;         // The beginning of an unfinished line.
  std::size_t seen_ = 0;     // Bytes of that line, including those dropped.
  bool last_is_cr_ = false;  // The last of them is a CR.
  bool at_start_ = true;
};

}  // namespace sluice
