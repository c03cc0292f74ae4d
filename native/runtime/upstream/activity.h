// Reports, once per turn of a loop, that its sockets were served.
#pragma once

#include <uv.h>

#include <utility>

#include "runtime/loop/uv_handle.h"

namespace sluice {

/// Reports, once per turn of a loop, that its sockets were served. Loop thread only.
class UpstreamActivity {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Receivers were called.
    virtual void on_activity() = 0;
  };

  UpstreamActivity(uv_loop_t* loop, Owner& owner) : owner_(owner), check_(new uv_check_t{}) {
    uv_check_init(loop, check_.get());
    check_->data = this;
    uv_check_start(check_.get(), [](uv_check_t* handle) {
      auto* const self = static_cast<UpstreamActivity*>(handle->data);
      if (std::exchange(self->active_, false)) self->owner_.on_activity();
    });
  }

  /// The owner is called after the sockets of this turn.
  void mark() { active_ = true; }

  /// Calls the owner. For timers: the loop may wait between its timers and its sockets.
  void report() { owner_.on_activity(); }

 private:
  Owner& owner_;
  UvHandle<uv_check_t> check_;  // runs after the sockets of each turn
  bool active_ = false;         // since the last run of `check_`
};

}  // namespace sluice
