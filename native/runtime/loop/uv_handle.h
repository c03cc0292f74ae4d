// Ownership of a libuv handle: closed exactly once, freed in its close callback.
#pragma once

#include <uv.h>

#include <memory>
#include <type_traits>

namespace sluice {

/// Deleter that hands the memory to `uv_close` and frees it in the close callback.
template <typename T>
struct UvHandleDeleter {
  void operator()(T* handle) const {
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) { delete reinterpret_cast<T*>(closed); });
  }
};

/// An owner of a `uv_timer_t`, `uv_async_t`, ... that is initialised on a loop. Loop thread only.
/// The loop must run once more after the last UvHandle is destroyed, so that the close callbacks
/// run (Reactor does so before it closes its loop).
template <typename T>
using UvHandle = std::unique_ptr<T, UvHandleDeleter<T>>;

static_assert(!std::is_copy_constructible_v<UvHandle<uv_timer_t>>);

}  // namespace sluice
