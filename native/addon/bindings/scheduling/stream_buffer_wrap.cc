#include "addon/bindings/scheduling/stream_buffer_wrap.h"

#include <utility>

namespace sluice {
namespace {

constexpr double kStored = 0;
constexpr double kRefused = -1;

// The result of a write for JavaScript; undefined: it has to wait.
napi_value outcome_of(napi_env env, BufferStatus status) {
  if (status == BufferStatus::kWaiting) return nullptr;
  return to_js(env, status == BufferStatus::kDone ? kStored : kRefused);
}

}  // namespace

/// A read for JavaScript; undefined: it has to wait.
template <>
struct ToJs<StreamBufferWrap::Buffer::ReadResult> {
  static napi_value make(napi_env env, const StreamBufferWrap::Buffer::ReadResult& result) {
    napi_value null = nullptr;
    if (result.status == BufferStatus::kWaiting) return nullptr;
    if (result.status == BufferStatus::kDone) return to_js(env, result.chunk);
    return napi_get_null(env, &null) == napi_ok ? null : nullptr;
  }
};

Napi::Function StreamBufferWrap::define(Napi::Env env) {
  return DefineClass(env, "StreamBuffer",
                     {
                         StaticValue("STORED", Napi::Number::New(env, kStored)),
                         StaticValue("REFUSED", Napi::Number::New(env, kRefused)),
                         method<&StreamBufferWrap::write>("write"),
                         method<&StreamBufferWrap::try_write>("tryWrite"),
                         method<&StreamBufferWrap::read>("read"),
                         method<&Buffer::try_read>("tryRead"),
                         method<&StreamBufferWrap::claim_write>("claimWrite"),
                         method<&Buffer::claim_read>("claimRead"),
                         method<&Buffer::abort>("abort"),
                         method<&StreamBufferWrap::take_turns>("takeTurns"),
                         method<&Buffer::close>("close"),
                         method<&Buffer::size>("size"),
                         method<&Buffer::closed>("closed"),
                     });
}

StreamBufferWrap::StreamBufferWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), buffer_(static_cast<std::size_t>(count_from(info.Env(), info[0]))) {}

// Turns are only recorded: JavaScript collects them after the call that caused them.
StreamBufferWrap::Buffer::OnTurn StreamBufferWrap::note_turn() {
  return [this](Ticket ticket) { turns_.push_back(ticket); };
}

napi_value StreamBufferWrap::write(std::u16string text) {
  const auto [status, ticket] = buffer_.write(std::move(text), note_turn());
  return status == BufferStatus::kWaiting ? to_js(Env(), ticket) : outcome_of(Env(), status);
}

napi_value StreamBufferWrap::try_write(std::u16string text) {
  return outcome_of(Env(), buffer_.try_write(std::move(text)));
}

napi_value StreamBufferWrap::read() {
  const auto result = buffer_.read(note_turn());
  return result.status == BufferStatus::kWaiting ? to_js(Env(), result.ticket)
                                                 : to_js(Env(), result);
}

napi_value StreamBufferWrap::claim_write(Ticket ticket) {
  return outcome_of(Env(), buffer_.claim_write(ticket));
}

napi_value StreamBufferWrap::take_turns() {
  return turns_.empty() ? nullptr : to_js(Env(), std::exchange(turns_, {}));
}

}  // namespace sluice
