// Intrusive reference counting with copy-on-write support.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace sluice {

/// A base with an atomic reference count. The object is reached only through Ref, and the last Ref
/// deletes it, on its own thread.
class Counted {
 public:
  Counted() = default;
  /// A copy is a separate object without references.
  Counted(const Counted& /*other*/) {}
  Counted& operator=(const Counted&) = delete;

 protected:
  ~Counted() = default;

 private:
  template <typename Object>
  friend class Ref;

  mutable std::atomic<std::uint32_t> owners_{0};
};

/// A reference to a Counted object, or null.
template <typename Object>
class Ref {
 public:
  Ref() = default;
  /// References an object from `new`, or one that has references.
  explicit Ref(Object* object) : object_(object) {
    if (object_ != nullptr) object_->owners_.fetch_add(1, std::memory_order_relaxed);
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr && object_->owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete object_;
    }
  }

  [[nodiscard]] Object* get() const { return object_; }
  Object& operator*() const { return *object_; }
  Object* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

  /// Whether this is the only reference, so that the object may be changed in place. Must not be
  /// null. When true, all reads by former owners have happened before.
  [[nodiscard]] bool unique() const {
    return object_->owners_.load(std::memory_order_acquire) == 1;
  }

 private:
  Object* object_ = nullptr;
};

}  // namespace sluice
