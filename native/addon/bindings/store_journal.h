// A hub's journal that writes to a store.
//
// Lives on the hub's executor, as the hub does. The store answers on its own thread, and the answer
// goes to the hub as a command. Under a manual clock everything happens within the call that causes
// it: there the executor waits for the disk.
#pragma once

#include <memory>
#include <vector>

#include "addon/bindings/hub_bridge.h"
#include "addon/napi/reactor_wrap.h"
#include "core/streams/journal.h"
#include "runtime/storage/sqlite_store.h"

namespace sluice {

class StoreJournal final : public JobJournal {
 public:
  StoreJournal(std::shared_ptr<SqliteStore> store, std::shared_ptr<ReactorHandle> reactor,
               std::weak_ptr<HubBridge> hub)
      : store_(std::move(store)), reactor_(std::move(reactor)), hub_(std::move(hub)) {}

  void on_changes(std::uint64_t batch, std::vector<JobChange> changes) override;

 private:
  std::shared_ptr<SqliteStore> store_;
  std::shared_ptr<ReactorHandle> reactor_;  // the answer outlives the hub
  std::weak_ptr<HubBridge> hub_;
};

}  // namespace sluice
