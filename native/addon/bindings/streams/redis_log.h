// The journal of a hub in Redis.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "addon/bindings/redis/link_wrap.h"
#include "addon/bindings/streams/hub_bridge.h"
#include "core/replication/redis_journal.h"
#include "core/streams/journal.h"

namespace sluice {

/// A RedisJournal and its way back to the hub, which may live on another reactor.
///
/// A Machine of the link's reactor; of no thread between construction and `start`. Its results
/// go to the hub as commands.
class RedisLog final : public Machine, private RedisJournalOwner {
 public:
  RedisLog(RedisPort link, std::shared_ptr<ReactorHandle> hub_reactor, std::weak_ptr<HubBridge> hub)
      : link_(std::move(link)), hub_reactor_(std::move(hub_reactor)), hub_(std::move(hub)) {}

  /// On the link's reactor; once.
  void start();
  void write(std::uint64_t batch, std::vector<JobChange> changes);

  [[nodiscard]] Nanos next_deadline() const override {
    return journal_ ? journal_->next_deadline() : kNever;
  }
  void advance(Nanos now) override {
    if (journal_) journal_->advance(now);
  }
  void retire() override { journal_.reset(); }

 private:
  void on_recorded(std::uint64_t batch, std::vector<JobOutcome> outcomes) override;
  void on_rewound(std::uint64_t job, EventLog::Position next) override;
  void on_fenced(std::uint64_t job) override;
  void on_data_loss(std::uint64_t job) override;

  template <typename Command>
  void post(Command command);

  RedisPort link_;
  std::shared_ptr<ReactorHandle> hub_reactor_;
  std::weak_ptr<HubBridge> hub_;
  std::optional<RedisJournal> journal_;
};

/// The journal as its hub sees it: batches go to the RedisLog as commands. Lives on the hub's
/// executor.
class LinkJournal final : public JobJournal {
 public:
  LinkJournal(std::shared_ptr<ReactorHandle> reactor, std::shared_ptr<RedisLog> log)
      : reactor_(std::move(reactor)), log_(std::move(log)) {}

  void on_changes(std::uint64_t batch, std::vector<JobChange> changes) override;
  [[nodiscard]] bool is_replicated() const override { return true; }

 private:
  std::shared_ptr<ReactorHandle> reactor_;  // of the link
  std::shared_ptr<RedisLog> log_;
};

}  // namespace sluice
