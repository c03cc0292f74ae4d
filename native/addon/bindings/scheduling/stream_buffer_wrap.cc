#include "addon/bindings/scheduling/stream_buffer_wrap.h"

#include <utility>

#include "addon/napi/arguments.h"

namespace sluice {
namespace {

constexpr double kStored = 0;
constexpr double kRefused = -1;

// The result of a write for JavaScript; undefined: it has to wait.
Napi::Value outcome_of(Napi::Env env, BufferStatus status) {
  if (status == BufferStatus::kWaiting) return env.Undefined();
  return Napi::Number::New(env, status == BufferStatus::kDone ? kStored : kRefused);
}

// The result of a read for JavaScript; undefined: it has to wait.
Napi::Value outcome_of(Napi::Env env, const StreamBuffer<std::u16string>::ReadResult& result) {
  if (result.status == BufferStatus::kWaiting) return env.Undefined();
  if (result.status == BufferStatus::kClosed) return env.Null();
  return Napi::String::New(env, result.chunk);
}

Ticket ticket_of(const Napi::CallbackInfo& info) {
  return count_from(info.Env(), info[0]);
}

}  // namespace

Napi::Function StreamBufferWrap::define(Napi::Env env) {
  return DefineClass(env, "StreamBuffer",
                     {
                         StaticValue("STORED", Napi::Number::New(env, kStored)),
                         StaticValue("REFUSED", Napi::Number::New(env, kRefused)),
                         InstanceMethod<&StreamBufferWrap::write>("write"),
                         InstanceMethod<&StreamBufferWrap::try_write>("tryWrite"),
                         InstanceMethod<&StreamBufferWrap::read>("read"),
                         InstanceMethod<&StreamBufferWrap::try_read>("tryRead"),
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

// Turns are only recorded: JavaScript collects them after the call that caused them.
StreamBufferWrap::Buffer::OnTurn StreamBufferWrap::note_turn() {
  return [this](Ticket ticket) { turns_.push_back(ticket); };
}

Napi::Value StreamBufferWrap::write(const Napi::CallbackInfo& info) {
  const auto [status, ticket] = buffer_.write(text16_from(info.Env(), info[0]), note_turn());
  if (status != BufferStatus::kWaiting) return outcome_of(info.Env(), status);
  return Napi::Number::New(info.Env(), static_cast<double>(ticket));
}

Napi::Value StreamBufferWrap::try_write(const Napi::CallbackInfo& info) {
  return outcome_of(info.Env(), buffer_.try_write(text16_from(info.Env(), info[0])));
}

Napi::Value StreamBufferWrap::read(const Napi::CallbackInfo& info) {
  const auto result = buffer_.read(note_turn());
  if (result.status != BufferStatus::kWaiting) return outcome_of(info.Env(), result);
  return Napi::Number::New(info.Env(), static_cast<double>(result.ticket));
}

Napi::Value StreamBufferWrap::try_read(const Napi::CallbackInfo& info) {
  return outcome_of(info.Env(), buffer_.try_read());
}

Napi::Value StreamBufferWrap::claim_write(const Napi::CallbackInfo& info) {
  return outcome_of(info.Env(), buffer_.claim_write(ticket_of(info)));
}

Napi::Value StreamBufferWrap::claim_read(const Napi::CallbackInfo& info) {
  return outcome_of(info.Env(), buffer_.claim_read(ticket_of(info)));
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
