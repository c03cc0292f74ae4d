#include "addon/bindings/stream_buffer_wrap.h"

#include <utility>

#include "addon/napi/arguments.h"

namespace sluice {
namespace {

constexpr double kStored = 0;
constexpr double kRefused = -1;

Ticket ticket_of(const Napi::CallbackInfo& info) {
  return count_from(info.Env(), info[0]);
}

}  // namespace

Napi::Function StreamBufferWrap::define(Napi::Env env) {
  return DefineClass(env, "StreamBuffer",
                     {
                         InstanceMethod<&StreamBufferWrap::write>("write"),
                         InstanceMethod<&StreamBufferWrap::read>("read"),
                         InstanceMethod<&StreamBufferWrap::claim_write>("claimWrite"),
                         InstanceMethod<&StreamBufferWrap::claim_read>("claimRead"),
                         InstanceMethod<&StreamBufferWrap::abort>("abort"),
                         InstanceMethod<&StreamBufferWrap::take_turns>("takeTurns"),
                         InstanceMethod<&StreamBufferWrap::close>("close"),
                         InstanceMethod<&StreamBufferWrap::size>("size"),
                         InstanceMethod<&StreamBufferWrap::closed>("closed"),
                     });
}

StreamBufferWrap::StreamBufferWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), buffer_(static_cast<std::size_t>(count_from(info.Env(), info[0]))) {}

// Turns are only noted: JavaScript collects them once the call that caused them is over.
StreamBufferWrap::Buffer::OnTurn StreamBufferWrap::note_turn() {
  return [this](Ticket ticket) { turns_.push_back(ticket); };
}

Napi::Value StreamBufferWrap::write(const Napi::CallbackInfo& info) {
  const auto [status, ticket] = buffer_.write(text16_from(info.Env(), info[0]), note_turn());
  const double answer = status == BufferStatus::kDone     ? kStored
                        : status == BufferStatus::kClosed ? kRefused
                                                          : static_cast<double>(ticket);
  return Napi::Number::New(info.Env(), answer);
}

Napi::Value StreamBufferWrap::read(const Napi::CallbackInfo& info) {
  const auto result = buffer_.read(note_turn());
  if (result.status == BufferStatus::kDone) return Napi::String::New(info.Env(), result.chunk);
  if (result.status == BufferStatus::kClosed) return info.Env().Null();
  return Napi::Number::New(info.Env(), static_cast<double>(result.ticket));
}

Napi::Value StreamBufferWrap::claim_write(const Napi::CallbackInfo& info) {
  const BufferStatus status = buffer_.claim_write(ticket_of(info));
  if (status == BufferStatus::kWaiting) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), status == BufferStatus::kDone ? kStored : kRefused);
}

Napi::Value StreamBufferWrap::claim_read(const Napi::CallbackInfo& info) {
  const auto result = buffer_.claim_read(ticket_of(info));
  if (result.status == BufferStatus::kWaiting) return info.Env().Undefined();
  if (result.status == BufferStatus::kClosed) return info.Env().Null();
  return Napi::String::New(info.Env(), result.chunk);
}

Napi::Value StreamBufferWrap::abort(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), buffer_.abort(ticket_of(info)));
}

Napi::Value StreamBufferWrap::take_turns(const Napi::CallbackInfo& info) {
  if (turns_.empty()) return info.Env().Undefined();
  const Napi::Value tickets = array_of(info.Env(), turns_);
  turns_.clear();
  return tickets;
}

void StreamBufferWrap::close(const Napi::CallbackInfo& /*info*/) {
  buffer_.close();
}

Napi::Value StreamBufferWrap::size(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(buffer_.size()));
}

Napi::Value StreamBufferWrap::closed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), buffer_.closed());
}

}  // namespace sluice
