// An answer written by a test, and its frames by a face.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/faces/face_options.h"
#include "core/streams/job.h"

namespace sluice {

/// A job with its log.
class Answer {
 public:
  Answer() : job_(1, options(), EventLog(std::size_t{1} << 30), 0) {}

  Answer& head(AnswerHead head) {
    EXPECT_TRUE(job_.log.set_head(std::move(head)));
    return *this;
  }
  Answer& add(EntryKind kind, std::string_view text, std::string_view aux = {}) {
    EXPECT_TRUE(job_.log.append(Entry{kind, text, aux}));
    return *this;
  }
  Answer& text(std::string_view text, std::string_view logprobs = {}) {
    return add(EntryKind::kText, text, logprobs);
  }
  Answer& reasoning(std::string_view text) { return add(EntryKind::kReasoning, text); }
  Answer& refusal(std::string_view text) { return add(EntryKind::kRefusal, text); }
  Answer& call(std::string_view id, std::string_view name) {
    return add(EntryKind::kToolCall, id, name);
  }
  Answer& arguments(std::string_view text) { return add(EntryKind::kToolArguments, text); }
  Answer& extra(std::string_view json) { return add(EntryKind::kExtra, json); }

  Answer& end(Terminal terminal) {
    EXPECT_TRUE(job_.log.end(std::move(terminal)));
    job_.status = Job::Status::kEnded;
    return *this;
  }
  Answer& complete(std::string reason = "stop", Usage usage = {3, 2}) {
    Terminal terminal;
    terminal.reason = std::move(reason);
    terminal.usage = std::move(usage);
    return end(std::move(terminal));
  }
  Answer& fail() {
    Terminal terminal;
    terminal.kind = Terminal::Kind::kError;
    terminal.error_code = "upstream_stalled";
    terminal.error_message = "The upstream is \"silent\".";
    terminal.error_type = "upstream_error";
    return end(std::move(terminal));
  }
  Answer& cancel() {
    Terminal terminal;
    terminal.kind = Terminal::Kind::kCancelled;
    terminal.reason = "client_request";
    return end(std::move(terminal));
  }

  [[nodiscard]] const Job& job() const { return job_; }

  /// Lets a face read on from the seq `next`, to the end of the log so far.
  void read(Face& face, std::string& out, std::uint64_t& next, std::uint32_t choice = 0) const {
    for (;; ++next) {
      const EventLog::Event event = job_.log.read({job_.log.attempt(), next});
      if (event.kind == EventLog::EventKind::kNone) return;
      face.write(out, choice, job_, event);
    }
  }

 private:
  static JobOptions options() {
    JobOptions options;
    options.job_id = "job_T";
    options.prompt_tokens = 7;
    return options;
  }

  Job job_;
};

/// All frames of a face of one answer.
inline std::string frames_of(const FaceOptions& options, const Answer& answer) {
  const std::unique_ptr<Face> face = make_face(options);
  std::string out;
  face->open(out);
  std::uint64_t next = 1;
  answer.read(*face, out, next);
  return out;
}

/// The blocks of a stream, each with the blank line that ends it.
inline std::vector<std::string> blocks_of(std::string_view stream) {
  std::vector<std::string> blocks;
  while (!stream.empty()) {
    const std::size_t end = stream.find("\n\n");
    if (end == std::string_view::npos) {
      ADD_FAILURE() << "no blank line ends: " << stream;
      return blocks;
    }
    blocks.emplace_back(stream.substr(0, end + 2));
    stream.remove_prefix(end + 2);
  }
  return blocks;
}

/// The data of each block.
inline std::vector<std::string> data_of(std::string_view stream) {
  std::vector<std::string> data;
  for (const std::string& block : blocks_of(stream)) {
    const std::size_t from = block.find("data: ");
    EXPECT_NE(from, std::string::npos) << block;
    if (from != std::string::npos) data.push_back(block.substr(from + 6, block.size() - from - 8));
  }
  return data;
}

using Data = std::vector<std::string>;

}  // namespace sluice
