// Raw Node-API calls with their status checked throughout: while a worker is being terminated any
// of them may fail, and the throwing wrappers would abort the process.
#include "addon/napi/event_queue.h"

#include <array>

namespace sluice {

namespace {

napi_value to_js(napi_env env, const EventValue& value) {
  napi_value out = nullptr;
  if (const auto* number = std::get_if<double>(&value)) {
    napi_create_double(env, *number, &out);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    napi_create_string_utf8(env, text->data(), text->size(), &out);
  } else if (const auto* bytes = std::get_if<EventBytes>(&value)) {
    napi_create_buffer_copy(env, bytes->data.size(), bytes->data.data(), nullptr, &out);
  } else if (const auto* numbers = std::get_if<std::vector<double>>(&value)) {
    if (napi_create_array_with_length(env, numbers->size(), &out) != napi_ok) return nullptr;
    for (std::uint32_t i = 0; i < numbers->size(); ++i) {
      napi_set_element(env, out, i, to_js(env, (*numbers)[i]));
    }
  } else if (const auto* strings = std::get_if<std::vector<std::string>>(&value)) {
    if (napi_create_array_with_length(env, strings->size(), &out) != napi_ok) return nullptr;
    for (std::uint32_t i = 0; i < strings->size(); ++i) {
      napi_set_element(env, out, i, to_js(env, (*strings)[i]));
    }
  } else {
    napi_get_undefined(env, &out);
  }
  return out;
}

}  // namespace

void EventQueue::open(Napi::Env env, Napi::Function on_events) {
  napi_value name = nullptr;
  napi_create_string_utf8(env, "sluice:events", NAPI_AUTO_LENGTH, &name);
  // Queue size 0 is "unbounded", but at most one wake-up is ever queued.
  const napi_status status = napi_create_threadsafe_function(
      env, on_events, nullptr, name, 0, 1, nullptr, nullptr, this, &EventQueue::on_wake, &wake_);
  if (status != napi_ok) {
    wake_ = nullptr;
    return;
  }
  napi_unref_threadsafe_function(env, wake_);
}

void EventQueue::push(EventKind kind, double target, EventValue a, EventValue b) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  queue_.push_back({kind, target, std::move(a), std::move(b)});
  if (wake_pending_ || wake_ == nullptr) return;
  // Under the lock, so that `close` cannot release the function between the check and the call.
  wake_pending_ = napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking) == napi_ok;
}

napi_value EventQueue::drain(napi_env env) {
  {
    const std::lock_guard lock(mutex_);
    draining_.swap(queue_);
    wake_pending_ = false;
  }
  napi_value array = nullptr;
  if (napi_create_array_with_length(env, draining_.size() * 4, &array) == napi_ok) {
    std::uint32_t i = 0;
    for (const QueuedEvent& event : draining_) {
      const std::array<napi_value, 4> row{to_js(env, static_cast<double>(event.kind)),
                                          to_js(env, event.target), to_js(env, event.a),
                                          to_js(env, event.b)};
      for (const napi_value value : row) {
        if (value == nullptr) {
          draining_.clear();
          return nullptr;
        }
        napi_set_element(env, array, i++, value);
      }
    }
  }
  draining_.clear();
  return array;
}

void EventQueue::on_wake(napi_env env, napi_value callback, void* context, void* /*data*/) {
  if (env == nullptr || callback == nullptr) return;  // the environment is going away
  napi_value events = static_cast<EventQueue*>(context)->drain(env);
  napi_value receiver = nullptr;
  if (events == nullptr || napi_get_undefined(env, &receiver) != napi_ok) return;
  if (napi_call_function(env, receiver, callback, 1, &events, nullptr) != napi_pending_exception) {
    return;
  }
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

void EventQueue::ref(napi_env env) {
  if (wake_ != nullptr) napi_ref_threadsafe_function(env, wake_);
}

void EventQueue::unref(napi_env env) {
  if (wake_ != nullptr) napi_unref_threadsafe_function(env, wake_);
}

void EventQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  queue_.clear();
  if (wake_ != nullptr) napi_release_threadsafe_function(wake_, napi_tsfn_abort);
  wake_ = nullptr;
}

}  // namespace sluice
