// Shared objects that know how many share them, so that the only owner may change one in place.
//
// A Counted object is reached through Ref alone and is deleted with the last of them, on whatever
// thread that is. Counting is atomic. `unique` answers for a Ref that no other thread can copy:
// the former owners' last reads happened before it says true.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace sluice {

class Counted {
 public:
  Counted() = default;
  /// A copy is an object of its own, which nobody refers to yet.
  Counted(const Counted& /*other*/) {}
  Counted& operator=(const Counted&) = delete;

 protected:
  ~Counted() = default;

 private:
  template <typename Object>
  friend class Ref;

  mutable std::atomic<std::uint32_t> owners_{0};
};

/// An owner of a Counted object, or of nothing.
template <typename Object>
class Ref {
 public:
  Ref() = default;
  /// Takes an object from `new`, or one that has owners.
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

  /// Whether this is the only owner; there must be an object.
  [[nodiscard]] bool unique() const {
    return object_->owners_.load(std::memory_order_acquire) == 1;
  }

 private:
  Object* object_ = nullptr;
};

}  // namespace sluice
