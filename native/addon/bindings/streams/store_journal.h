// The journal of a hub in the data file.
#pragma once

#include <memory>
#include <vector>

#include "addon/bindings/streams/hub_bridge.h"
#include "addon/napi/reactor_wrap.h"
#include "core/streams/journal.h"
#include "runtime/storage/sqlite_store.h"

namespace sluice {

/// A hub's journal that writes to a store.
///
/// Lives on the hub's executor. The store replies on its own thread, and the reply goes to the hub
/// as a command. Under a manual clock the executor waits for the disk, so that every effect happens
/// within the call that causes it.
class StoreJournal final : public JobJournal {
 public:
  StoreJournal(std::shared_ptr<SqliteStore> store, std::shared_ptr<ReactorHandle> reactor,
               std::weak_ptr<HubBridge> hub)
      : store_(std::move(store)), reactor_(std::move(reactor)), hub_(std::move(hub)) {}

  void on_changes(std::uint64_t batch, std::vector<JobChange> changes) override;

 private:
  std::shared_ptr<SqliteStore> store_;
  std::shared_ptr<ReactorHandle> reactor_;  // a reply may come after the hub's end
  std::weak_ptr<HubBridge> hub_;
};

}  // namespace sluice
