// Ownership of a libuv handle: closed exactly once, freed only when libuv has let go of it.
//
// Loop thread only. The loop must turn once more after the last UvHandle is gone, so that the
// close callbacks run (Reactor does so before it closes its loop).
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

/// A `uv_timer_t`, `uv_async_t`, ... that must have been initialised on a loop.
template <typename T>
using UvHandle = std::unique_ptr<T, UvHandleDeleter<T>>;

static_assert(!std::is_copy_constructible_v<UvHandle<uv_timer_t>>);

}  // namespace sluice
