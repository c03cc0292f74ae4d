#include "addon/napi/reactor_wrap.h"

#include "addon/napi/arguments.h"

#include <cmath>
#include <limits>

namespace sluice {

// Up to here (26 days) a product of milliseconds is exact to the nanosecond; later times, such as
// those since 1970, are taken apart.
constexpr double kProductMsMax = 2'251'799'813;

Nanos nanos_from_ms(double ms) {
  constexpr double kLargestMs = 9.0e12;  // 285 years; within 63 bits of nanoseconds
  if (!(ms < kLargestMs)) return kNever;
  if (ms < kProductMsMax) {
    return static_cast<Nanos>(std::llround(std::max(ms, 0.0) * static_cast<double>(kMillisecond)));
  }
  const double whole = std::trunc(ms);
  return static_cast<Nanos>(whole) * kMillisecond +
         static_cast<Nanos>(std::llround((ms - whole) * static_cast<double>(kMillisecond)));
}

double ms_from_nanos(Nanos nanos) {
  if (nanos == kNever) return std::numeric_limits<double>::infinity();
  const auto span = static_cast<double>(kMillisecond);
  if (nanos < static_cast<Nanos>(kProductMsMax) * kMillisecond) {
    return static_cast<double>(nanos) / span;
  }
  return static_cast<double>(nanos / kMillisecond) +
         static_cast<double>(nanos % kMillisecond) / span;
}

void ReactorHandle::close() {
  // The executor first: no thread pushes events once its thread is joined.
  if (reactor) reactor->stop();
  if (manual) manual->stop();
  events->close();
}

Napi::Function ReactorWrap::define(Napi::Env env) {
  return DefineClass(env, "Reactor",
                     {
                         InstanceMethod<&ReactorWrap::wake>("wake"),
                         InstanceMethod<&ReactorWrap::advance_to>("advanceTo"),
                         InstanceMethod<&ReactorWrap::next_deadline>("nextDeadline"),
                         InstanceMethod<&ReactorWrap::drain>("drain"),
                         InstanceMethod<&ReactorWrap::ref>("ref"),
                         InstanceMethod<&ReactorWrap::unref>("unref"),
                         InstanceMethod<&ReactorWrap::close>("close"),
                     });
}

ReactorWrap::ReactorWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  if (info[0].IsFunction()) {
    handle_->events->open(info.Env(), info[0].As<Napi::Function>());
    handle_->reactor = std::make_unique<Reactor>();
  } else {
    handle_->manual = std::make_unique<ManualExecutor>();
  }
  // Registered after the queue's thread-safe function, so it runs before that one is torn down.
  napi_add_env_cleanup_hook(info.Env(), &ReactorWrap::on_environment_exit, this);
}

ReactorWrap::~ReactorWrap() {
  napi_remove_env_cleanup_hook(Env(), &ReactorWrap::on_environment_exit, this);
  handle_->close();
}

std::shared_ptr<ReactorHandle> ReactorWrap::handle_of(napi_env env, napi_value reactor) {
  void* wrap = nullptr;
  if (napi_unwrap(env, reactor, &wrap) == napi_ok) {
    return static_cast<ReactorWrap*>(wrap)->handle_;
  }
  auto stopped = std::make_shared<ReactorHandle>();
  stopped->manual = std::make_unique<ManualExecutor>();
  stopped->close();
  return stopped;
}

void ReactorWrap::on_environment_exit(void* self) {
  static_cast<ReactorWrap*>(self)->handle_->close();
}

void ReactorWrap::wake(const Napi::CallbackInfo& /*info*/) {
  if (handle_->reactor) handle_->reactor->wake();
}

Napi::Value ReactorWrap::advance_to(const Napi::CallbackInfo& info) {
  if (handle_->manual) handle_->manual->advance_to(bigint64_from(info.Env(), info[0]));
  return info.Env().Undefined();
}

Napi::Value ReactorWrap::next_deadline(const Napi::CallbackInfo& info) {
  const Nanos deadline = handle_->manual ? handle_->manual->next_deadline() : kNever;
  if (deadline == kNever) return info.Env().Undefined();
  return Napi::BigInt::New(info.Env(), deadline);
}

Napi::Value ReactorWrap::drain(const Napi::CallbackInfo& info) {
  return {info.Env(), handle_->events->drain(info.Env())};
}

void ReactorWrap::ref(const Napi::CallbackInfo& info) {
  handle_->events->ref(info.Env());
}

void ReactorWrap::unref(const Napi::CallbackInfo& info) {
  handle_->events->unref(info.Env());
}

void ReactorWrap::close(const Napi::CallbackInfo& /*info*/) {
  handle_->close();
}

}  // namespace sluice
