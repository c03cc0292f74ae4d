// The binding of the JavaScript class `StreamBuffer`.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "addon/napi/method.h"
#include "core/streams/stream_buffer.h"

namespace sluice {

/// The JavaScript class `StreamBuffer`, private to lib/primitives/scheduling/stream-buffer.js.
///
///   new StreamBuffer(capacity)
///   write(text)          STORED, REFUSED (closed), or the ticket to wait with
///   tryWrite(text)       STORED, REFUSED, or undefined: the writer would have to wait
///   read()               a string; null: closed and drained; else the ticket to wait with
///   tryRead()            a string; null: closed and drained; undefined: the reader would wait
///   claimWrite(ticket)   STORED, REFUSED, or undefined: not its turn
///   claimRead(ticket)    a string; null: closed and drained; undefined: not its turn
///   abort(ticket)        true: removed from the line
///   takeTurns()          tickets whose turn has come since the last call, in order, or undefined
///   close(), size(), closed()
///
/// JavaScript's thread only; ends with garbage collection. Text is kept as UTF-16, so that a lone
/// surrogate comes out as it went in.
class StreamBufferWrap final : public Napi::ObjectWrap<StreamBufferWrap>,
                               private DirectMethods<StreamBufferWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit StreamBufferWrap(const Napi::CallbackInfo& info);

  using Buffer = StreamBuffer<std::u16string>;
  [[nodiscard]] Buffer& target() { return buffer_; }

 private:
  napi_value write(std::u16string text);
  napi_value try_write(std::u16string text);
  napi_value read();
  napi_value claim_write(Ticket ticket);
  napi_value take_turns();

  Buffer::OnTurn note_turn();

  Buffer buffer_;
  std::vector<Ticket> turns_;
};

}  // namespace sluice
