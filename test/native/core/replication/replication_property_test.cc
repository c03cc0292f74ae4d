// Properties of replication over random logs, readers and failures: a reader at another process
// receives the bytes of a reader at the owner.
#include <algorithm>
#include <random>

#include "core/faces/face_options.h"
#include "process.h"

namespace sluice {
namespace {

using Dialect = FaceOptions::Dialect;

constexpr JobHandle kSourceJob = 1;
constexpr std::array<Dialect, 5> kDialects = {
    Dialect::kChat, Dialect::kCompletions, Dialect::kResponses, Dialect::kUi, Dialect::kMessages};

std::unique_ptr<Face> face_of(Dialect dialect) {
  FaceOptions options;
  options.dialect = dialect;
  options.id = "id-T";
  options.tail = "T";
  options.model = "small";
  options.created = 1700000000;
  options.include_usage = true;
  return make_face(options);
}

// The frames from the last attempt on: the text of earlier ones is discarded.
std::string last_attempt(const std::string& frames) {
  const std::size_t retry = frames.rfind("\nevent: job_retry\n");
  if (retry == std::string::npos) return frames;
  return frames.substr(frames.rfind("id: ", retry));
}

class ReplicationProperty : public ReplicationTest {
 protected:
  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }

  void append_something() {
    static constexpr std::array<std::string_view, 5> kTexts = {"a", "", "\r\n", "\"",
                                                               "\u00e9t\u00e9"};
    const std::string_view text = kTexts[below(kTexts.size())];
    switch (below(9)) {
      case 8:
        a_.hub.append_typed(kSourceJob, below(2) == 0 ? "page" : "node_started", R"({"node":"a"})",
                            clock_.now);
        break;
      case 0:
        add({.kind = EntryKind::kReasoning, .text = text});
        break;
      case 1:
        add({.kind = EntryKind::kRefusal, .text = text});
        break;
      case 2:
        add({.kind = EntryKind::kExtra, .text = "{\"k\":\n[1]}"});
        break;
      case 3:
        add({.kind = EntryKind::kToolCall, .text = "call", .aux = "f"});
        for (std::size_t i = below(3); i > 0; --i) {
          add({.kind = EntryKind::kToolArguments, .text = "{\"a\":"});
        }
        break;
      case 4:
        add({.text = text, .aux = "[{\"token\":\"a\",\n\"logprob\":-0.1}]"});
        break;
      default:
        add({.text = text});
        break;
    }
  }

  void add(const Entry& entry) { a_.hub.append(kSourceJob, entry, clock_.now); }

  Terminal some_ending() {
    Terminal terminal;
    switch (below(4)) {
      case 0:
        terminal.kind = Terminal::Kind::kError;
        terminal.error_code = "upstream_error";
        terminal.error_message = "It \"failed\".";
        terminal.error_type = "server_error";
        break;
      case 1:
        terminal.kind = Terminal::Kind::kCancelled;
        terminal.reason = "client_request";
        break;
      default:
        terminal.reason = below(2) == 0 ? "stop" : "tool_calls";
        terminal.raw_reason = "end_turn";
        terminal.usage = Usage{.prompt_tokens = 3,
                               .completion_tokens = 4,
                               .raw = below(2) == 0 ? ""
                                                    : R"({"prompt_tokens":3,"completion_tokens":4,)"
                                                      R"("total_tokens":7,"cached":1.50})"};
        break;
    }
    if (below(2) == 0) terminal.details = R"({"note":"d"})";
    return terminal;
  }

  // One random step of the producer.
  void step() {
    if (below(14) == 0) {
      a_.hub.retry(kSourceJob, below(2) == 0 ? R"({"upstream":"b"})" : "", clock_.now);
      if (below(2) == 0) a_.hub.set_head(kSourceJob, {.model = "later"}, clock_.now);
    } else {
      for (std::size_t i = below(4) + 1; i > 0; --i) append_something();
    }
  }

  void compare_faces(JobHandle replica) {
    for (std::size_t i = 0; i < kDialects.size(); ++i) {
      const SubscriberHandle reader = 9000 + i;
      a_.attach(reader, kSourceJob, "", face_of(kDialects[i]));
      b_.attach(reader, replica, "", face_of(kDialects[i]));
      EXPECT_EQ(b_.rec.frames[reader], a_.rec.frames[reader]) << i;
      EXPECT_EQ(b_.hub.answer(replica, *face_of(kDialects[i])),
                a_.hub.answer(kSourceJob, *face_of(kDialects[i])));
    }
  }

  std::mt19937 random_;
};

// For every cut of a log of all kinds: a replica that begins there, and a reader of it at every
// position, receive the bytes of a reader at the owner that attached at the same moment.
TEST_F(ReplicationProperty, ReplicaAndLiveAreTheOriginalAtEveryCutAndPosition) {
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    random_.seed(seed);
    const std::size_t steps = 4 + below(8);
    for (std::size_t cut = 0; cut <= steps + 1; ++cut) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", cut " + std::to_string(cut));
      random_.seed(1000 + seed);
      redis_.streams.clear();
      redis_.admit("j", "a");
      a_.create(kSourceJob, "j");
      if (seed % 2 == 0) a_.hub.set_head(kSourceJob, {.model = "m-1"}, clock_.now);
      SubscriberHandle readers = 100;
      const auto attach_readers = [&] {
        b_.replicate(kSourceJob, "j");
        // Also ids that the owner has and Redis has not yet.
        const EventId latest = a_.hub.latest(kSourceJob);
        std::vector<std::string> cursors{""};
        for (std::uint64_t seq = 0; seq <= latest.seq; ++seq) {
          cursors.push_back(to_string({latest.attempt, seq}));
        }
        if (latest.attempt > 1) cursors.push_back("1-1");
        for (const std::string& cursor : cursors) {
          ++readers;
          a_.attach(readers, kSourceJob, cursor);
          b_.attach(readers, kSourceJob, cursor);
        }
        a_.port.is_frozen = false;
      };
      for (std::size_t at = 0; at < steps; ++at) {
        a_.port.is_frozen = at + 1 == cut && seed % 3 == 0;
        step();
        if (at == cut) attach_readers();
        pass((below(3) + 1) * 5 * kMillisecond);
      }
      if (cut == steps) attach_readers();
      a_.port.is_frozen = false;
      a_.finish(kSourceJob, some_ending());
      pass(50 * kMillisecond);
      if (cut > steps) attach_readers();
      pass(kSecond);
      for (SubscriberHandle reader = 101; reader <= readers; ++reader) {
        ASSERT_EQ(last_attempt(b_.rec.frames[reader]), last_attempt(a_.rec.frames[reader]));
        ASSERT_EQ(b_.rec.frames[reader].find("event: gap"), std::string::npos);
        ASSERT_EQ(b_.rec.closed[reader], a_.rec.closed[reader]);
      }
      ASSERT_EQ(b_.state(kSourceJob), a_.state(kSourceJob));
      compare_faces(kSourceJob);
      a_.hub.purge(kSourceJob, clock_.now);
      b_.hub.purge(kSourceJob, clock_.now);
      pass(kSecond);
      a_.rec = Recorder{};
      const auto when_purged = b_.rec.when_purged;
      b_.rec = Recorder{};
      b_.rec.when_purged = when_purged;
    }
  }
}

// Under any failures the log in Redis and the replica equal the log of the owner.
TEST_F(ReplicationProperty, FailuresLoseDoubleAndReorderNothing) {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    random_.seed(seed);
    redis_.streams.clear();
    redis_.admit("j", "a");
    a_.create(kSourceJob, "j");
    b_.replicate(kSourceJob, "j");
    a_.attach(1, kSourceJob);
    b_.attach(1, kSourceJob);
    for (int i = 0; i < 40; ++i) {
      step();
      switch (below(12)) {
        case 0:  // an answer is lost, and perhaps the command as well
          a_.port.is_frozen = true;
          settle();
          a_.port.is_frozen = false;
          a_.port.disconnect(below(2));
          pass(below(2) * kSecond);
          a_.port.connect();
          break;
        case 1:
          b_.port.disconnect();
          pass(below(3) * kSecond);
          b_.port.connect();
          break;
        case 2:
          redis_.error = below(2) == 0 ? "OOM x" : "LOADING x";
          pass(below(600) * kMillisecond);
          redis_.error.clear();
          break;
        case 3:
          redis_.drops_messages = true;
          break;
        case 4: {  // a failover that has lost the tail
          auto& stream = redis_.streams["{t}:log:j"];
          stream.resize(stream.size() - std::min(stream.size(), below(3)));
          if (stream.empty()) redis_.streams.erase("{t}:log:j");
          a_.port.disconnect();
          b_.port.disconnect();
          a_.port.connect();
          b_.port.connect();
          break;
        }
        case 5:  // an eviction
          redis_.streams.erase("{t}:log:j");
          break;
        default:
          redis_.drops_messages = false;
          break;
      }
      pass(below(40) * kMillisecond);
    }
    redis_.drops_messages = false;
    a_.finish(kSourceJob, some_ending());
    pass(10 * kSecond);
    ASSERT_EQ(a_.rec.closed[1], "finished");
    ASSERT_EQ(b_.rec.closed[1], "finished");
    ASSERT_EQ(last_attempt(b_.rec.frames[1]), last_attempt(a_.rec.frames[1]));
    ASSERT_EQ(b_.state(kSourceJob), a_.state(kSourceJob));
    // A replica that begins now reads the same from the log.
    b_.replicate(2, "j");
    ASSERT_EQ(b_.state(2), a_.state(kSourceJob));
    ASSERT_TRUE(a_.rec.fenced.empty());
    a_.hub.purge(kSourceJob, clock_.now);
    b_.hub.purge(kSourceJob, clock_.now);
    b_.hub.purge(2, clock_.now);
    pass(kSecond);
    a_.rec = Recorder{};
    const auto when_purged = b_.rec.when_purged;
    b_.rec = Recorder{};
    b_.rec.when_purged = when_purged;
  }
}

}  // namespace
}  // namespace sluice
