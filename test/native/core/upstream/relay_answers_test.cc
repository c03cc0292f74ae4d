// Known answers of upstreams, from the table that the HTTP tests read as well.
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <memory>
#include <string>

#include "answer_table.h"
#include "core/base/ascii.h"
#include "core/upstream/relay.h"
#include "log_reader.h"

namespace sluice {
namespace {

// The estimate in the table.
constexpr std::uint64_t kPromptTokens = 1000;

// A relay of one answer into the log of one job.
class Answering : public HubObserver {
 public:
  Answering() : hub_({}, *this) {
    hub_.create(1, {.job_id = "j", .wall_time_max = kNever, .prompt_tokens = kPromptTokens}, now_);
    hub_.start(1, {}, now_);
    relay_ = std::make_unique<Relay>(Relay::Options{.idle = kSecond, .jobs = {1}}, hub_, now_);
  }

  void take(const rapidjson::Value& row, std::size_t piece_bytes) {
    const std::string type = text_of(row, "type", "text/event-stream");
    std::string encoding;
    if (row.HasMember("headers")) encoding = text_of(row["headers"], "content-encoding");
    relay_->on_head({.status = row.HasMember("status") ? row["status"].GetInt() : 200,
                     .content_type = type,
                     .retry_after = {},
                     .retry_after_ms = {},
                     .content_encoding = encoding},
                    now_);
    const std::string body = text_of(row, "body");
    for (std::size_t at = 0; at < body.size(); at += piece_bytes) {
      EXPECT_TRUE(relay_->on_bytes(std::string_view(body).substr(at, piece_bytes), now_));
      turn();
    }
    if (row.HasMember("cut")) {
      relay_->on_broken(false, "ECONNRESET", now_);
    } else {
      relay_->on_end(now_);
    }
    turn();
  }

  [[nodiscard]] const Relay& relay() const { return *relay_; }

  std::string state() { return hub_.state(1, true, now_); }
  Usage usage() { return hub_.usage(1); }
  LogContent log() { return read_log(hub_, 1, 2, now_); }

 private:
  void turn() {
    if (hub_.next_deadline() <= now_) hub_.advance(now_);
  }
  void on_window(JobHandle, std::uint64_t) override {}
  void on_ended(JobHandle job, std::string) override {
    if (relay_) relay_->forget(job);
  }
  void on_purged(JobHandle) override {}
  void on_subscriber_open(SubscriberHandle, bool) override {}
  bool on_batch(SubscriberHandle, Subscriber::Batch&) override { return false; }
  void on_subscriber_end(SubscriberHandle, std::string_view) override {}

  Nanos now_ = kSecond;
  JobHub hub_;
  std::unique_ptr<Relay> relay_;
};

rapidjson::Document parse(const std::string& json) {
  rapidjson::Document document;
  document.Parse(json.c_str(), json.size());
  EXPECT_FALSE(document.HasParseError()) << json;
  return document;
}

std::string to_json(const rapidjson::Value& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return buffer.GetString();
}

// Adjacent entries of one kind, and of one call, as one item.
rapidjson::Document items_of(const LogContent& log) {
  rapidjson::Document items(rapidjson::kArrayType);
  auto& allocator = items.GetAllocator();
  const auto value_of = [&allocator](const std::string& text) {
    return rapidjson::Value(text.data(), static_cast<rapidjson::SizeType>(text.size()), allocator);
  };
  const auto copy_of = [&allocator](const std::string& json) {
    return rapidjson::Value(parse(json), allocator);
  };
  const auto add = [&](const char* kind) -> rapidjson::Value& {
    rapidjson::Value item(rapidjson::kObjectType);
    item.AddMember("kind", rapidjson::Value(kind, allocator), allocator);
    return items.PushBack(item, allocator)[items.Size() - 1];
  };
  const auto append = [&](rapidjson::Value& item, const char* member, const std::string& text) {
    const std::string so_far = item.HasMember(member) ? item[member].GetString() : "";
    item.RemoveMember(member);
    item.AddMember(rapidjson::Value(member, allocator), value_of(so_far + text), allocator);
  };
  const LogContent::Item* previous = nullptr;
  for (const LogContent::Item& entry : log.entries) {
    const bool continues = previous != nullptr && previous->kind == entry.kind;
    const auto last = [&]() -> rapidjson::Value& { return items[items.Size() - 1]; };
    switch (entry.kind) {
      case EntryKind::kText: {
        rapidjson::Value& item = continues ? last() : add("text");
        append(item, "text", entry.text);
        if (entry.aux.empty()) break;
        if (!item.HasMember("logprobs")) {
          item.AddMember("logprobs", rapidjson::Value(rapidjson::kArrayType), allocator);
        }
        item["logprobs"].PushBack(copy_of(entry.aux), allocator);
        break;
      }
      case EntryKind::kReasoning:
        append(continues ? last() : add("reasoning"), "text", entry.text);
        break;
      case EntryKind::kRefusal:
        append(continues ? last() : add("refusal"), "text", entry.text);
        break;
      case EntryKind::kToolCall: {
        rapidjson::Value& item = add("tool_call");
        item.AddMember("id", value_of(entry.text), allocator);
        item.AddMember("name", value_of(entry.aux), allocator);
        item.AddMember("arguments", "", allocator);
        break;
      }
      case EntryKind::kToolArguments:
        EXPECT_TRUE(previous->kind == EntryKind::kToolCall || continues) << "calls are adjacent";
        append(last(), "arguments", entry.text);
        break;
      case EntryKind::kExtra:
        add("extra").AddMember("delta", copy_of(entry.text), allocator);
        break;
    }
    previous = &entry;
  }
  return items;
}

bool is_generated_id(std::string_view id) {
  constexpr std::string_view kPrefix = "call_";
  constexpr std::size_t kCharacters = 24;
  return id.starts_with(kPrefix) && id.size() == kPrefix.size() + kCharacters &&
         std::ranges::all_of(id.substr(kPrefix.size()),
                             [](char c) { return is_letter(c) || is_digit(c); });
}

// Replaces generated ids by `call_*`, which stands for them in the table.
void hide_generated_ids(rapidjson::Document& items, const rapidjson::Value& expected) {
  for (rapidjson::SizeType i = 0; i < std::min(items.Size(), expected.Size()); ++i) {
    const std::string id = text_of(expected[i], "id");
    if (id != "call_*" || !items[i].HasMember("id")) continue;
    EXPECT_TRUE(is_generated_id(items[i]["id"].GetString())) << items[i]["id"].GetString();
    items[i]["id"].SetString("call_*", items.GetAllocator());
  }
}

// The items of a row; by default its text alone.
rapidjson::Document expected_items(const rapidjson::Value& row) {
  rapidjson::Document items(rapidjson::kArrayType);
  auto& allocator = items.GetAllocator();
  if (row.HasMember("items")) {
    items.CopyFrom(row["items"], allocator);
  } else if (const std::string text = text_of(row, "text"); !text.empty()) {
    rapidjson::Value item(rapidjson::kObjectType);
    item.AddMember("kind", "text", allocator);
    item.AddMember("text", rapidjson::Value(text.c_str(), allocator), allocator);
    items.PushBack(item, allocator);
  }
  return items;
}

std::string usage_json(const Usage& usage) {
  if (!usage.raw.empty()) return usage.raw;
  return R"({"prompt_tokens":)" + std::to_string(usage.prompt_tokens) + R"(,"completion_tokens":)" +
         std::to_string(usage.completion_tokens) + R"(,"total_tokens":)" +
         std::to_string(usage.prompt_tokens + usage.completion_tokens) +
         (usage.estimated ? R"(,"estimated":true})" : "}");
}

void expect_row(const rapidjson::Value& row, std::size_t piece_bytes) {
  Answering answering;
  answering.take(row, piece_bytes);
  ASSERT_TRUE(answering.relay().settled());
  const RelayOutcome& outcome = answering.relay().outcome();
  EXPECT_EQ(name_of(outcome.failure), text_of(row, "failure", "none"));
  const rapidjson::Document state = parse(answering.state());
  EXPECT_EQ(text_of(state, "text"), text_of(row, "text"));
  const LogContent log = answering.log();
  const rapidjson::Document expected = expected_items(row);
  rapidjson::Document items = items_of(log);
  hide_generated_ids(items, expected);
  EXPECT_TRUE(items == expected) << to_json(items) << " is not " << to_json(expected);
  if (outcome.failure == RelayOutcome::Failure::kNone) {
    EXPECT_EQ(text_of(state, "reason"), text_of(row, "reason"));
  } else {
    EXPECT_EQ(outcome.failed.at(0), static_cast<std::int64_t>(log.entries.size()));
  }
  if (row.HasMember("usage")) {
    const std::string usage = usage_json(answering.usage());
    EXPECT_EQ(parse(usage), row["usage"]) << usage;
  }
  if (row.HasMember("head")) {
    EXPECT_EQ(log.head.model, text_of(row["head"], "model"));
    EXPECT_EQ(log.head.system_fingerprint, text_of(row["head"], "system_fingerprint"));
    EXPECT_EQ(log.head.service_tier, text_of(row["head"], "service_tier"));
  }
}

TEST(RelayAnswers, EveryRowHasTheResultsOfTheTableInPiecesOfAnySize) {
  const rapidjson::Document table = read_table();
  ASSERT_TRUE(table.IsArray());
  ASSERT_GE(table.Size(), 160u);
  for (const auto& row : table.GetArray()) {
    for (const std::size_t piece_bytes : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20}) {
      SCOPED_TRACE(text_of(row, "name") + ", in pieces of " + std::to_string(piece_bytes));
      expect_row(row, piece_bytes);
    }
  }
}

}  // namespace
}  // namespace sluice
