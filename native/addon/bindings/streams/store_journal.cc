#include "addon/bindings/streams/store_journal.h"

#include <future>
#include <utility>

#include "runtime/storage/job_journal.h"

namespace sluice {

namespace {

void tell(const std::shared_ptr<ReactorHandle>& reactor, const std::weak_ptr<HubBridge>& hub,
          std::uint64_t batch, StoreStatus status) {
  reactor->executor().post([hub, batch, status](Nanos now) {
    const std::shared_ptr<HubBridge> there = hub.lock();
    if (there) there->hub.recorded(batch, status == StoreStatus::kOk, now);
  });
}

}  // namespace

void StoreJournal::on_changes(std::uint64_t batch, std::vector<JobChange> changes) {
  StoreBatch rows = batch_of(std::move(changes), Reactor::unix_ms());
  if (reactor_->manual) {
    auto written = std::make_shared<std::promise<StoreStatus>>();
    const StoreStatus taken = store_->commit(
        std::move(rows), [written](StoreStatus status) { written->set_value(status); });
    const bool waits = taken == StoreStatus::kOk;
    tell(reactor_, hub_, batch, waits ? written->get_future().get() : taken);
    return;
  }
  const StoreStatus taken =
      store_->commit(std::move(rows), [reactor = reactor_, hub = hub_, batch](StoreStatus status) {
        tell(reactor, hub, batch, status);
      });
  if (taken != StoreStatus::kOk) tell(reactor_, hub_, batch, taken);
}

}  // namespace sluice
