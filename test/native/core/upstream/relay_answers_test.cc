// What upstreams are known to send, by the table that the HTTP tests read too.
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/istreamwrapper.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "core/upstream/relay.h"

namespace sluice {
namespace {

// The estimate that the table has.
constexpr std::uint64_t kPromptTokens = 1000;

rapidjson::Document read_table() {
  const auto folder = std::filesystem::path(__FILE__).parent_path();
  std::ifstream file(folder / "../../../support/upstream/answers.json");
  rapidjson::IStreamWrapper stream(file);
  rapidjson::Document table;
  table.ParseStream(stream);
  return table;
}

std::string text_of(const rapidjson::Value& row, const char* name, const char* fallback = "") {
  if (!row.HasMember(name)) return fallback;
  return {row[name].GetString(), row[name].GetStringLength()};
}

// One answer on its way through a relay to the log of one job.
class Answering : public HubObserver {
 public:
  Answering() : hub_({}, *this) {
    hub_.create(1, {.job_id = "j", .wall_time_max = kNever, .prompt_tokens = kPromptTokens}, now_);
    hub_.start(1, now_);
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
  void on_batch(SubscriberHandle, Subscriber::Batch&) override {}
  void on_subscriber_end(SubscriberHandle, std::string_view) override {}

  Nanos now_ = kSecond;
  JobHub hub_;
  std::unique_ptr<Relay> relay_;
};

void expect_row(const rapidjson::Value& row, std::size_t piece_bytes) {
  Answering answering;
  answering.take(row, piece_bytes);
  ASSERT_TRUE(answering.relay().settled());
  const RelayOutcome& outcome = answering.relay().outcome();
  EXPECT_EQ(name_of(outcome.failure), text_of(row, "failure", "none"));
  rapidjson::Document state;
  state.Parse(answering.state().c_str());
  EXPECT_EQ(text_of(state, "text"), text_of(row, "text"));
  if (outcome.failure == RelayOutcome::Failure::kNone) {
    EXPECT_EQ(text_of(state, "reason"), text_of(row, "reason"));
  } else {
    EXPECT_GE(outcome.failed.at(0), 0);
  }
  if (row.HasMember("usage")) {
    EXPECT_EQ(state["usage"], row["usage"]);
  }
}

TEST(RelayAnswers, EveryRowBecomesWhatTheTableSaysHoweverItIsCut) {
  const rapidjson::Document table = read_table();
  ASSERT_TRUE(table.IsArray());
  ASSERT_GE(table.Size(), 60u);
  for (const auto& row : table.GetArray()) {
    for (const std::size_t piece_bytes : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20}) {
      SCOPED_TRACE(text_of(row, "name") + ", in pieces of " + std::to_string(piece_bytes));
      expect_row(row, piece_bytes);
    }
  }
}

}  // namespace
}  // namespace sluice
