// RelayHub with calls that another client makes: head, pieces and end are fed, in injected time.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/upstream/relays.h"

namespace sluice {
namespace {

constexpr Nanos kIdle = 5 * kSecond;

std::string text_event(const std::string& text) {
  return "data: {\"choices\":[{\"delta\":{\"content\":\"" + text + "\"}}]}\n\n";
}

const std::string kLastEvents =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

class FedCallTest : public testing::Test, public HubObserver, public RelayHub::Observer {
 protected:
  void begin(std::uint64_t capacity = 256) {
    HubOptions options;
    options.stream_capacity = capacity;
    hub_ = std::make_unique<JobHub>(options, *this);
    relays_ = std::make_unique<RelayHub>(nullptr, *hub_, *this);
    hub_->create(1, {.job_id = "job_1", .wall_time_max = kNever}, now_);
    hub_->start(1, {}, now_);
    hub_->attach(1, Subscriber::Mode::kEvents, false, {{1, ""}}, now_);
    relays_->start_fed(7, {.idle = kIdle, .jobs = {1}}, now_);
    turn();
  }

  void head() {
    UpstreamHead head;
    head.status = 200;
    head.content_type = "text/event-stream";
    relays_->feed_head(7, head, now_);
    turn();
  }

  void bytes(std::string text) {
    fed_ += text.size();
    relays_->feed_bytes(7, std::move(text), now_);
    turn();
  }

  void end(UpstreamEnd::Kind kind) {
    UpstreamEnd end;
    end.kind = kind;
    relays_->feed_end(7, end, now_);
    turn();
  }

  void turn() {
    do {
      relays_->advance(now_);
      if (hub_->next_deadline() <= now_) hub_->advance(now_);
    } while (relays_->has_work());
  }

  void pass(Nanos span) {
    now_ += span;
    turn();
  }

  bool completed() { return hub_->state(1, true, now_).find("\"completed\"") != std::string::npos; }
  bool took_all() const { return taken_ == fed_; }

  Nanos now_ = kSecond;
  std::unique_ptr<JobHub> hub_;
  std::unique_ptr<RelayHub> relays_;
  std::uint64_t fed_ = 0;
  std::uint64_t taken_ = 0;
  std::optional<RelayOutcome::Failure> failure_;
  int overs_ = 0;

 private:
  void on_window(JobHandle job, std::uint64_t) override { relays_->window_moved(job); }
  void on_ended(JobHandle, std::string) override {}
  void on_sealed(JobHandle job) override { relays_->job_ended(job); }
  void on_purged(JobHandle) override {}
  void on_subscriber_open(SubscriberHandle, bool) override {}
  bool on_batch(SubscriberHandle, Subscriber::Batch&) override { return false; }
  void on_subscriber_end(SubscriberHandle, std::string_view) override {}
  void on_relay_end(CallId, const RelayOutcome& outcome) override { failure_ = outcome.failure; }
  void on_relay_taken(CallId, std::uint64_t bytes) override { taken_ = bytes; }
  void on_relay_over(CallId) override { overs_ += 1; }
};

TEST_F(FedCallTest, FedBytesAreTheAnswer) {
  begin();
  head();
  bytes(text_event("Hel"));
  EXPECT_TRUE(took_all());
  bytes(text_event("lo") + kLastEvents);
  EXPECT_EQ(failure_, RelayOutcome::Failure::kNone);
  EXPECT_TRUE(completed());
  EXPECT_EQ(overs_, 0) << "the rest of the body is read, for the connection to be kept";
  end(UpstreamEnd::Kind::kWhole);
  EXPECT_EQ(overs_, 1);
  EXPECT_EQ(relays_->call_count(), 0u);
}

TEST_F(FedCallTest, BytesBeyondAFullWindowWaitForTheReader) {
  begin(1);
  head();
  bytes(text_event("a") + text_event("b"));
  EXPECT_FALSE(took_all());
  bytes(text_event("c") + kLastEvents);
  end(UpstreamEnd::Kind::kWhole);
  EXPECT_FALSE(failure_);
  for (int i = 0; i < 8 && !failure_; ++i) {
    hub_->acknowledge(1, now_);
    turn();
  }
  EXPECT_EQ(failure_, RelayOutcome::Failure::kNone);
  EXPECT_NE(hub_->state(1, true, now_).find("\"text\":\"abc\""), std::string::npos);
}

TEST_F(FedCallTest, TheFeederTimesTheSilence) {
  begin();
  head();
  pass(100 * kIdle);
  EXPECT_FALSE(failure_);
  end(UpstreamEnd::Kind::kSilent);
  EXPECT_EQ(failure_, RelayOutcome::Failure::kStalled);
  EXPECT_EQ(overs_, 1);
}

TEST_F(FedCallTest, AJobThatEndsEndsItsCallAndLateBytesAreIgnored) {
  begin();
  head();
  Terminal terminal;
  terminal.kind = Terminal::Kind::kCancelled;
  hub_->finish(1, std::move(terminal), now_);
  turn();
  EXPECT_EQ(overs_, 1);
  bytes(text_event("late"));
  end(UpstreamEnd::Kind::kWhole);
  EXPECT_EQ(overs_, 1);
}

TEST_F(FedCallTest, AConnectionThatBreaksIsReported) {
  begin();
  end(UpstreamEnd::Kind::kBroken);
  EXPECT_EQ(failure_, RelayOutcome::Failure::kUnreachable);
  EXPECT_EQ(overs_, 1);
}

}  // namespace
}  // namespace sluice
