// Fuzzes the decoder of OpenAI-style streams: for any cuts of a body the events are the
// same; every view is valid UTF-8, raw JSON is valid, and tool calls keep to their rules.
//
// The first byte of the input chooses options, the second the cuts, the rest is the body.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/utf8.h"
#include "core/faces/json_cursor.h"
#include "core/upstream/openai/decoder.h"
#include "fuzz.h"

namespace {

using namespace sluice;

void require_utf8(std::string_view text) {
  require(valid_utf8_prefix(text) == text.size(), "every view is valid UTF-8");
}

void require_json(std::string_view json) {
  require(is_json(json), "raw JSON is valid");
}

class Checker final : public OpenAiSink {
 public:
  explicit Checker(std::uint32_t choices) : calls_(choices) {}

  std::vector<std::string> seen;

  void on_head(const AnswerHead& head) override {
    require_open();
    note({"head", head.model, head.system_fingerprint, head.service_tier});
  }

  void on_entry(std::uint32_t choice, const Entry& entry) override {
    require_open();
    require(choice < calls_.size(), "a choice that was asked for");
    require(!entry.text.empty() || !entry.aux.empty(), "an entry says something");
    Call& call = calls_[choice];
    if (entry.kind == EntryKind::kToolArguments) {
      require(call.is_latest, "the entries of a call are adjacent");
      call.has_arguments = true;
    } else {
      require(!call.is_latest || call.has_arguments, "arguments are not empty");
      call = {.is_latest = entry.kind == EntryKind::kToolCall};
    }
    if (entry.kind == EntryKind::kToolCall) require(!entry.text.empty(), "a call has an id");
    if (entry.kind == EntryKind::kExtra) require_json(entry.text);
    if (entry.kind == EntryKind::kText && !entry.aux.empty()) require_json(entry.aux);
    note({"entry", std::to_string(choice), std::to_string(static_cast<int>(entry.kind)), entry.text,
          entry.aux});
  }

  void on_finish(std::uint32_t choice, FinishReason reason, std::string_view raw) override {
    require_open();
    require(!calls_[choice].is_latest || calls_[choice].has_arguments, "arguments are not empty");
    note({"finish", std::to_string(choice), name_of(reason), raw});
  }

  void on_usage(const TokenUsage& usage, std::string_view members) override {
    require_open();
    require(usage.has_counts(), "usage has counts");
    require_json("{" + std::string(members) + "}");
    note({"usage", std::to_string(usage.prompt_tokens.value_or(0)),
          std::to_string(usage.completion_tokens.value_or(0)), members});
  }

  void on_error(const OpenAiError& error) override {
    note({"error", error.message, error.type, error.code});
    end();
  }
  void on_done() override {
    note({"done"});
    end();
  }
  void on_malformed(std::string_view problem) override {
    note({"malformed", problem});
    end();
  }

 private:
  struct Call {
    bool is_latest = false;
    bool has_arguments = false;
  };

  void require_open() const { require(!has_ended_, "nothing follows the last event"); }
  void end() {
    require_open();
    has_ended_ = true;
  }
  void note(const std::vector<std::string_view>& parts) {
    std::string all;
    for (const std::string_view part : parts) {
      require_utf8(part);
      all.append(part).append(1, '\0');
    }
    seen.push_back(std::move(all));
  }

  std::vector<Call> calls_;
  bool has_ended_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint32_t choices = (data[0] & 1) != 0 ? 3 : 1;
  const std::size_t event_bytes = (data[0] & 2) != 0 ? 400 : 1 << 20;
  const bool ends_well = (data[0] & 4) == 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto decode = [&](std::size_t piece) {
    std::uint64_t bits = 0;
    OpenAiDecoder decoder(
        {.choices = choices, .event_bytes = event_bytes, .random = [&bits] { return ++bits; }});
    Checker checker(choices);
    for (std::size_t at = 0; at < body.size(); at += piece) {
      decoder.push(body.substr(at, piece), checker);
    }
    if (ends_well) {
      decoder.finish(checker);
    } else {
      decoder.flush_finished(checker);
    }
    return checker.seen;
  };
  require(decode(body.size() + 1) == decode(data[1] % 17 + 1U), "cuts make no difference");
  return 0;
}
