// Two processes on one Redis, over sockets: hubs, journal, followers and links on their reactors,
// threads that append and read, and a Redis that cuts its connections. For ThreadSanitizer above
// all; besides, readers in both processes receive the same bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/replication/fake_redis.h"
#include "core/replication/redis_journal.h"
#include "core/replication/replicas.h"
#include "milliseconds.h"
#include "runtime/redis/link.h"
#include "runtime/redis/redis_peer.h"
#include "runtime/shared_hub.h"

namespace sluice {
namespace {

void append_reply(std::string& out, const redis::Reply& reply) {
  switch (reply.kind) {
    case redis::Reply::Kind::kNil:
      out += "$-1\r\n";
      break;
    case redis::Reply::Kind::kInteger:
      out += ":" + std::to_string(reply.integer) + "\r\n";
      break;
    case redis::Reply::Kind::kText:
      out += "$" + std::to_string(reply.text.size()) + "\r\n" + reply.text + "\r\n";
      break;
    case redis::Reply::Kind::kError:
      out += "-" + reply.text + "\r\n";
      break;
    case redis::Reply::Kind::kArray:
      out += "*" + std::to_string(reply.items.size()) + "\r\n";
      for (const redis::Reply& item : reply.items) append_reply(out, item);
      break;
  }
}

// Of the greeting, and of FakeRedis.
std::string answer_of(FakeRedis& redis, const redis::Command& command) {
  const std::string& name = command[0];
  if (name == "CLIENT" || name == "INFO" || name == "PING") return answer_as_redis(command);
  std::string out;
  append_reply(out, redis.execute(command));
  return out;
}

redis::LinkOptions link_options(std::string process) {
  // Without a script for it, it does not beat.
  return {.prefix = "{t}:",
          .process = std::move(process),
          .user = "",
          .password = "",
          .lease = ms(600'000),
          .scripts = {{"finish", "finish", "return finish"}}};
}

class NoObserver final : public redis::LinkObserver {
  void on_state(redis::State, std::string_view) override {}
  void on_beat(Nanos, Nanos, const redis::Reply&) override {}
  void on_server(const redis::ServerInfo&) override {}
};

// The frames received by the readers of a hub, which are other threads.
class SharedObserver final : public HubObserver {
 public:
  std::atomic<int> opened = 0;

  std::shared_ptr<Inbox> inbox(SubscriberHandle subscriber) {
    const std::lock_guard lock(mutex_);
    auto& inbox = inboxes_[subscriber];
    if (!inbox) inbox = std::make_shared<Inbox>();
    return inbox;
  }

  void on_window(JobHandle, std::uint64_t) override {}
  void on_ended(JobHandle, std::string) override {}
  void on_purged(JobHandle) override {}
  void on_subscriber_open(SubscriberHandle subscriber, bool finished) override {
    ++opened;
    if (finished) inbox(subscriber)->end();
  }
  bool on_batch(SubscriberHandle subscriber, Subscriber::Batch& batch) override {
    inbox(subscriber)->put(std::move(batch));
    return false;
  }
  void on_subscriber_end(SubscriberHandle subscriber, std::string_view reason) override {
    if (reason != "finished") ADD_FAILURE() << "a reader was cut off: " << reason;
    inbox(subscriber)->end();
  }

 private:
  std::mutex mutex_;
  std::map<SubscriberHandle, std::shared_ptr<Inbox>> inboxes_;
};

HubOptions hub_options() {
  HubOptions options;
  options.heartbeat = ms(3'600'000);
  options.stall = ms(3'600'000);
  options.replica_idle = ms(3'600'000);
  // An ending that never reaches Redis would hang the test.
  options.hold_max = ms(3'600'000);
  options.record_interval = ms(1);
  options.record_retry = ms(5);
  return options;
}

// The process that runs the jobs. Its link has a separate reactor, so that each batch and its
// outcome change threads, as with several reactors.
class Owner final : private JobJournal, private RedisJournalOwner {
 public:
  explicit Owner(std::uint16_t port)
      : hub_(std::make_shared<HubMachine>()),
        link_(std::make_shared<RedisLink>(link_options("a"), link_reactor_, no_observer_)) {
    link_reactor_.post([this, port](Nanos now) {
      journal_ = std::make_shared<RedisJournal>(
          link_->link(), static_cast<RedisJournalOwner&>(*this),
          RedisJournal::Options{.retry_delay = ms(5), .now = &Reactor::now, .unix_ms = [] {
                                  return std::int64_t{1};
                                }});
      link_reactor_.add(link_);
      link_reactor_.add(journal_);
      link_->link().set_addresses({{"127.0.0.1", port}}, now);
    });
    reactor_.post([this](Nanos) {
      hub_->hub.record_to(this);
      reactor_.add(hub_);
    });
  }

  // The journal ends before its port, and on its thread.
  ~Owner() override {
    std::promise<void> done;
    link_reactor_.post([this, &done](Nanos) {
      link_reactor_.remove(journal_.get());
      journal_.reset();
      done.set_value();
    });
    done.get_future().wait();
    reactor_.stop();
    link_reactor_.stop();
  }

  template <typename Command>
  void post(Command command) {
    reactor_.post(
        [hub = hub_, command = std::move(command)](Nanos now) { command(hub->hub, now); });
  }

  SharedObserver& observer() { return hub_->observer; }

 private:
  struct HubMachine final : Machine {
    SharedObserver observer;
    JobHub hub{hub_options(), observer};
    [[nodiscard]] Nanos next_deadline() const override { return hub.next_deadline(); }
    void advance(Nanos now) override { hub.advance(now); }
  };

  void on_changes(std::uint64_t batch, std::vector<JobChange> changes) override {
    auto shared = std::make_shared<std::vector<JobChange>>(std::move(changes));
    link_reactor_.post([this, batch, shared](Nanos) {
      if (journal_) journal_->write(batch, std::move(*shared));
    });
  }
  [[nodiscard]] bool is_replicated() const override { return true; }

  void on_recorded(std::uint64_t batch, std::vector<JobOutcome> outcomes) override {
    post([batch, outcomes = std::move(outcomes)](JobHub& hub, Nanos now) {
      hub.recorded(batch, outcomes, now);
    });
  }
  void on_rewound(std::uint64_t job, EventLog::Position next) override {
    post([job, next](JobHub& hub, Nanos now) { hub.rewind(job, next, now); });
  }
  void on_fenced(std::uint64_t job) override { ADD_FAILURE() << "job " << job << " was fenced"; }
  void on_data_loss(std::uint64_t job) override { ADD_FAILURE() << "job " << job << " was lost"; }

  NoObserver no_observer_;
  Reactor reactor_;
  Reactor link_reactor_;
  std::shared_ptr<HubMachine> hub_;
  std::shared_ptr<RedisLink> link_;
  std::shared_ptr<RedisJournal> journal_;  // of the link's thread
};

// A process that follows the jobs: link, hub and replicas on one reactor.
class Follower final : public Machine, private ReplicasObserver {
 public:
  explicit Follower(Reactor& reactor) : link_(link_options("b"), reactor, no_observer_) {}

  SharedObserver observer;
  JobHub hub{hub_options(), observer};
  std::atomic<bool> connected = false;

  void connect(std::uint16_t port, Nanos now) {
    link_.link().set_addresses({{"127.0.0.1", port}}, now);
  }
  void open(JobHandle job, const std::string& id) {
    JobOptions options;
    options.job_id = id;
    replicas_.open(job, std::move(options), ms(3'600'000), 0);
  }

  [[nodiscard]] Nanos next_deadline() const override {
    return std::min({link_.next_deadline(), hub.next_deadline(), replicas_.next_deadline()});
  }
  void advance(Nanos now) override {
    if (link_.next_deadline() <= now) link_.advance(now);
    if (replicas_.next_deadline() <= now) replicas_.advance(now);
    if (hub.next_deadline() <= now) hub.advance(now);
    connected = link_.link().connected();
  }
  void retire() override { link_.retire(); }

 private:
  void on_replica_missing(JobHandle job) override { ADD_FAILURE() << "no job " << job; }
  void on_replica_broken(JobHandle, std::string problem) override { ADD_FAILURE() << problem; }
  void on_adopted(std::uint64_t, JobHandle, bool) override {}
  void on_refreshed(std::uint64_t) override {}

  NoObserver no_observer_;
  RedisLink link_;
  Replicas replicas_{link_.link(), hub, *this,
                     Replicas::Options{.silence = ms(20), .page = 16, .now = &Reactor::now}};
};

std::string read_all(Inbox& inbox, const std::function<void()>& acknowledge) {
  std::string frames;
  Subscriber::Batch batch;
  while (inbox.take(batch)) {
    frames += batch.frames;
    acknowledge();
  }
  return frames;
}

TEST(ReplicationOverSockets, StressReadersElsewhereReceiveTheSameBytes) {
  if (!redis::ReplyReader::available()) GTEST_SKIP() << "built without hiredis";
  constexpr int kJobs = 6;
  constexpr int kTokens = 300;
  constexpr int kCuts = 12;
  FakeRedis redis;
  for (int job = 1; job <= kJobs; ++job) redis.admit("j" + std::to_string(job), "a");
  RedisPeer peer([&redis](const redis::Command& command) { return answer_of(redis, command); });

  Owner owner(peer.port());
  Reactor reactor;
  const auto follower = std::make_shared<Follower>(reactor);
  reactor.post([&](Nanos now) {
    reactor.add(follower);
    follower->connect(peer.port(), now);
  });
  for (JobHandle job = 1; job <= kJobs; ++job) {
    owner.post([job](JobHub& hub, Nanos now) {
      JobOptions options;
      options.job_id = "j" + std::to_string(job);
      options.record = job;
      options.cancel_on_disconnect = false;
      hub.create(job, std::move(options), now);
      hub.start(job, {}, now);
      hub.attach(job, Subscriber::Mode::kFrames, false, {{job, ""}}, now);
      hub.acknowledge(job, now);
    });
  }
  while (!follower->connected) std::this_thread::yield();
  reactor.post([&](Nanos now) {
    for (JobHandle job = 1; job <= kJobs; ++job) {
      follower->open(job, "j" + std::to_string(job));
      follower->hub.attach(job, Subscriber::Mode::kFrames, false, {{job, ""}}, now);
    }
  });
  // Readers of a replica attach once it has been read.
  while (follower->observer.opened < kJobs) std::this_thread::yield();
  reactor.post([&](Nanos now) {
    for (JobHandle job = 1; job <= kJobs; ++job) follower->hub.acknowledge(job, now);
  });

  std::thread chaos([&] {
    for (int i = 0; i < kCuts; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
      peer.cut();
    }
  });
  std::vector<std::string> here(kJobs);
  std::vector<std::string> there(kJobs);
  std::vector<std::thread> threads;
  for (JobHandle job = 1; job <= kJobs; ++job) {
    threads.emplace_back([&, job] {
      for (int i = 1; i <= kTokens; ++i) {
        owner.post([job, text = std::to_string(i) + ";"](JobHub& hub, Nanos now) {
          hub.append(job, text, now);
        });
        // Over some of the cuts.
        if (i % 5 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      owner.post([job](JobHub& hub, Nanos now) {
        Terminal terminal;
        terminal.reason = "stop";
        hub.finish(job, std::move(terminal), now);
      });
    });
    threads.emplace_back([&, job] {
      here[job - 1] = read_all(*owner.observer().inbox(job), [&owner, job] {
        owner.post([job](JobHub& hub, Nanos now) { hub.acknowledge(job, now); });
      });
    });
    threads.emplace_back([&, job] {
      there[job - 1] = read_all(*follower->observer.inbox(job), [&reactor, &follower, job] {
        reactor.post([&follower, job](Nanos now) { follower->hub.acknowledge(job, now); });
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  chaos.join();
  for (std::size_t job = 0; job < kJobs; ++job) {
    EXPECT_EQ(here[job], there[job]) << "job " << job + 1;
    EXPECT_NE(here[job].find("id: 1-" + std::to_string(kTokens) + "\n"), std::string::npos);
  }
  reactor.stop();
}

}  // namespace
}  // namespace sluice
