// The JavaScript class `OpenAiDecoder`: core/openai_decoder.h, synchronous.
//
//   new OpenAiDecoder(choices, eventBytesMax)   both positive integers
//   push(bytes: Uint8Array) -> events           of the next bytes of the body
//   end() -> events                             the body has ended in good order
//
// `events` is one flat array `[kind, index, value, ...]`, which costs less than an object each:
//   1 delta      choice, text
//   2 finish     choice, 'stop' or 'length'
//   3 usage      0, [prompt tokens, completion tokens]
//   4 error      0, [message, type, code], '' where the upstream left one out
//   5 done       0, undefined
//   6 malformed  0, what is wrong
// lib/providers/openai/answers.js has the same numbers. JavaScript's thread only; ends with garbage
// collection.
#pragma once

#include <napi.h>

#include "core/upstream/openai_decoder.h"

namespace sluice {

class OpenAiDecoderWrap final : public Napi::ObjectWrap<OpenAiDecoderWrap> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit OpenAiDecoderWrap(const Napi::CallbackInfo& info);

 private:
  Napi::Value push(const Napi::CallbackInfo& info);
  Napi::Value end(const Napi::CallbackInfo& info);

  OpenAiDecoder decoder_;
};

}  // namespace sluice
