// The replication of a process of a deployment: a hub, its journal and its replicas, under
// a clock that all processes share.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/replication/redis_journal.h"
#include "core/replication/replicas.h"
#include "core/streams/hub_fixture.h"
#include "fake_redis.h"

namespace sluice {

struct TestClock {
  Nanos now = kSecond;
};

class Process final : public RedisJournalOwner, public ReplicasObserver {
 public:
  static constexpr Nanos kFlush = 10 * kMillisecond;
  static constexpr Nanos kLease = 10 * kSecond;

  Process(FakeRedis& redis, TestClock& clock, std::string name, HubOptions options = {})
      : port(redis, std::move(name)),
        hub(options, rec),
        clock_(clock),
        journal_(std::make_unique<RedisJournal>(
            port, *this,
            RedisJournal::Options{.now = [&clock] { return clock.now; },
                                  .unix_ms = [&clock] { return clock.now / kMillisecond; }})),
        replicas_(std::make_unique<Replicas>(
            port, hub, *this,
            Replicas::Options{.page = 4, .now = [&clock] { return clock.now; }})) {
    rec.when_purged = [this](JobHandle job) {
      if (replicas_) replicas_->close(job);
    };
    hub.record_to(&sink_,
                  {.interval = kFlush, .retry_delay = HubJournal::kRetryDelay, .trim_step = 4});
  }

  /// A job with the id `name`, whose handle is `job`.
  void create(JobHandle job, const std::string& name, JobOptions options = {}) {
    options.job_id = name;
    options.record = job;
    options.cancel_on_disconnect = false;
    hub.create(job, std::move(options), clock_.now);
    hub.start(job, {}, clock_.now);
  }

  void replicate(JobHandle job, const std::string& name, JobOptions options = {}) {
    options.job_id = name;
    replicas_->open(job, std::move(options), kLease, 0);
    settle();
  }

  void adopt(JobHandle job, const std::string& name, std::uint64_t attempt,
             std::uint64_t skip_ids = 0, JobOptions options = {}) {
    options.job_id = name;
    options.record = job;
    options.cancel_on_disconnect = false;
    replicas_->adopt(job, std::move(options), attempt, skip_ids, job);
    settle();
  }

  void append(JobHandle job, std::string_view text) { hub.append(job, text, clock_.now); }
  void finish(JobHandle job, Terminal terminal) {
    hub.finish(job, std::move(terminal), clock_.now);
  }

  void attach(SubscriberHandle subscriber, JobHandle job, const std::string& cursor = "",
              std::unique_ptr<Face> face = nullptr) {
    hub.attach(subscriber, Subscriber::Mode::kFrames, false, {{job, cursor}}, clock_.now,
               std::move(face));
    readers_[subscriber] = 0;
    settle();
  }

  [[nodiscard]] std::string state(JobHandle job) const {
    return hub.state(job, true, clock_.now, true);
  }

  /// Everything that happens now.
  void settle() {
    for (bool worked = true; worked;) {
      worked = false;
      for (auto& [batch, changes] : std::exchange(batches_, {})) {
        journal_->write(batch, std::move(changes));
        worked = true;
      }
      for (auto& post : std::exchange(posts_, {})) {
        post();
        worked = true;
      }
      if (journal_->next_deadline() <= clock_.now) journal_->advance(clock_.now);
      if (replicas_->next_deadline() <= clock_.now) replicas_->advance(clock_.now);
      while (hub.next_deadline() <= clock_.now) {
        hub.advance(clock_.now);
        worked = true;
      }
      for (auto& [subscriber, read] : readers_) {
        const std::size_t size = rec.frames[subscriber].size() + rec.opened.count(subscriber);
        if (size == read) continue;
        read = size;
        hub.acknowledge(subscriber, clock_.now);
      }
      const std::size_t before = port.waiting();
      port.run();
      worked = worked || before != port.waiting() || !batches_.empty() || !posts_.empty() ||
               hub.next_deadline() <= clock_.now;
    }
  }

  [[nodiscard]] Nanos next_deadline() const {
    return std::min({hub.next_deadline(), journal_->next_deadline(), replicas_->next_deadline()});
  }

  /// It is killed: nothing leaves it any more.
  void kill() {
    journal_.reset();
    replicas_.reset();
  }

  /// Jobs whose loss was reported, replicas that are gone, adoptions with their outcome.
  std::vector<JobHandle> lost;
  std::vector<JobHandle> missing;
  std::vector<std::string> broken;
  std::map<JobHandle, bool> adopted;
  std::vector<std::uint64_t> refreshed;

  FakePort port;
  Recorder rec;
  JobHub hub;

  [[nodiscard]] Replicas& replicas() { return *replicas_; }

 private:
  // Batches of the hub wait, as commands do.
  struct Sink final : JobJournal {
    explicit Sink(Process& to) : process(to) {}
    void on_changes(std::uint64_t batch, std::vector<JobChange> changes) override {
      process.batches_.emplace_back(batch, std::move(changes));
    }
    [[nodiscard]] bool is_replicated() const override { return true; }
    Process& process;
  };

  void on_recorded(std::uint64_t batch, std::vector<JobOutcome> outcomes) override {
    posts_.push_back([this, batch, outcomes] { hub.recorded(batch, outcomes, clock_.now); });
  }
  void on_rewound(std::uint64_t job, EventLog::Position next) override {
    posts_.push_back([this, job, next] { hub.rewind(job, next, clock_.now); });
  }
  void on_fenced(std::uint64_t job) override {
    posts_.push_back([this, job] { hub.fence(job, clock_.now); });
  }
  void on_data_loss(std::uint64_t job) override { lost.push_back(job); }

  void on_replica_missing(JobHandle job) override { missing.push_back(job); }
  void on_replica_broken(JobHandle, std::string problem) override {
    broken.push_back(std::move(problem));
  }
  void on_adopted(std::uint64_t, JobHandle job, bool is_adopted) override {
    adopted[job] = is_adopted;
  }
  void on_refreshed(std::uint64_t request) override { refreshed.push_back(request); }

  TestClock& clock_;
  Sink sink_{*this};
  std::vector<std::pair<std::uint64_t, std::vector<JobChange>>> batches_;
  std::vector<std::function<void()>> posts_;
  std::map<SubscriberHandle, std::size_t> readers_;  // and the bytes that they have consumed
  std::unique_ptr<RedisJournal> journal_;
  std::unique_ptr<Replicas> replicas_;
};

/// Two processes on one Redis: `a` owns the jobs, `b` follows them.
class ReplicationTest : public testing::Test {
 protected:
  void settle() {
    for (int round = 0; round < 4; ++round) {
      for (Process* process : processes_) process->settle();
    }
  }

  /// Moves the clock, stopping at every deadline on the way.
  void pass(Nanos span) {
    const Nanos until = clock_.now + span;
    for (;;) {
      settle();
      Nanos next = kNever;
      for (const Process* process : processes_) next = std::min(next, process->next_deadline());
      if (next > until) break;
      clock_.now = std::max(clock_.now + 1, next);
    }
    clock_.now = until;
    settle();
  }

  static Terminal complete() {
    Terminal terminal;
    terminal.reason = "stop";
    return terminal;
  }

  FakeRedis redis_;
  TestClock clock_;
  Process a_{redis_, clock_, "a"};
  Process b_{redis_, clock_, "b"};
  std::vector<Process*> processes_{&a_, &b_};
};

}  // namespace sluice
