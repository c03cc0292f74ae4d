// An OpenAiSink that records its events, for the decoder's tests.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/utf8.h"
#include "core/streams/event_log_text.h"
#include "core/upstream/openai/decoder.h"
#include "split_input.h"

namespace sluice {

using Seen = std::vector<std::string>;

/// Writes down its events, one string each, except heads.
class OpenAiRecorder final : public OpenAiSink {
 public:
  Seen seen;
  std::vector<AnswerHead> heads;
  std::string last_problem;

  void on_head(const AnswerHead& head) override { heads.push_back(head); }

  void on_entry(std::uint32_t choice, const Entry& entry) override {
    expect_valid(entry.text);
    expect_valid(entry.aux);
    EXPECT_FALSE(entry.text.empty() && entry.aux.empty());
    std::string line = word_of(entry.kind) + " " + std::to_string(choice);
    if (!entry.text.empty()) line.append(" ").append(entry.text);
    if (!entry.aux.empty()) line.append(" | ").append(entry.aux);
    seen.push_back(line);
  }

  void on_finish(std::uint32_t choice, FinishReason reason, std::string_view raw) override {
    const std::string name(name_of(reason));
    std::string line = "finish " + std::to_string(choice) + " " + (name.empty() ? "failed" : name);
    if (!raw.empty()) line.append(" ").append(raw);
    seen.push_back(line);
  }

  void on_usage(const TokenUsage& usage, std::string_view members) override {
    const auto text = [](const std::optional<std::uint64_t>& count) {
      return count ? std::to_string(*count) : "?";
    };
    std::string line = "usage " + text(usage.prompt_tokens) + "+" + text(usage.completion_tokens) +
                       "=" + text(usage.total_tokens);
    if (usage.is_estimated) line.append(" estimated");
    if (!members.empty()) line.append(" ").append(members);
    seen.push_back(line);
  }

  void on_error(const OpenAiError& error) override {
    seen.push_back("error " + std::string(error.message) + "|" + std::string(error.type) + "|" +
                   std::string(error.code));
  }

  void on_done() override { seen.emplace_back("done"); }

  void on_malformed(std::string_view problem) override {
    EXPECT_FALSE(problem.empty());
    seen.emplace_back("malformed");
    last_problem = problem;
  }

 private:
  static void expect_valid(std::string_view text) {
    EXPECT_EQ(valid_utf8_prefix(text), text.size());
  }
};

/// Options with ids that are known beforehand: `call_A000000000B000000000C000`, then
/// `call_D000000000E000000000F000`.
inline OpenAiDecoder::Options decoder_options(std::uint32_t choices = 1) {
  return {.choices = choices, .random = [count = std::uint64_t{9}]() mutable { return ++count; }};
}

inline Seen decode_pieces(const Pieces& pieces,
                          OpenAiDecoder::Options options = decoder_options()) {
  OpenAiDecoder decoder(std::move(options));
  OpenAiRecorder recorder;
  for (const std::string_view piece : pieces) decoder.push(piece, recorder);
  decoder.finish(recorder);
  return recorder.seen;
}

/// The stream that carries `payloads`, one event each.
inline std::string stream_of(const std::vector<std::string>& payloads) {
  std::string out;
  for (const std::string& payload : payloads) out += "data: " + payload + "\n\n";
  return out;
}

inline Seen decode(const std::vector<std::string>& payloads,
                   OpenAiDecoder::Options options = decoder_options()) {
  return decode_pieces({stream_of(payloads)}, std::move(options));
}

inline std::string chat(std::string_view delta, std::string_view finish_reason = "null") {
  return R"({"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":)" +
         std::string(delta) + R"(,"logprobs":null,"finish_reason":)" + std::string(finish_reason) +
         "}]}";
}

inline std::string completion(int index, std::string_view text,
                              std::string_view finish_reason = "null") {
  return R"({"choices":[{"text":")" + std::string(text) + R"(","index":)" + std::to_string(index) +
         R"(,"finish_reason":)" + std::string(finish_reason) + "}]}";
}

}  // namespace sluice
