#include "addon/bindings/openai_decoder_wrap.h"

#include <string_view>

#include "addon/napi/arguments.h"

namespace sluice {
namespace {

enum class DecodedKind : std::uint32_t {
  kDelta = 1,
  kFinish = 2,
  kUsage = 3,
  kError = 4,
  kDone = 5,
  kMalformed = 6,
};

/// Appends what the decoder finds to a JavaScript array. Raw calls: this runs once a token.
/// A call that fails (the environment is going away) leaves a hole that nobody will look at.
class ArraySink final : public OpenAiSink {
 public:
  explicit ArraySink(napi_env env) : env_(env) { napi_create_array(env_, &array_); }

  [[nodiscard]] Napi::Value array() const { return {env_, array_}; }

  void on_delta(std::uint32_t index, std::string_view text) override {
    append(DecodedKind::kDelta, index, make_string(text));
  }

  void on_finish(std::uint32_t index, FinishReason reason, std::string_view /*raw*/) override {
    append(DecodedKind::kFinish, index,
           make_string(reason == FinishReason::kLength ? "length" : "stop"));
  }

  void on_usage(const TokenUsage& usage) override {
    napi_value counts = nullptr;
    napi_create_array_with_length(env_, 2, &counts);
    set(counts, 0, make_number(static_cast<double>(usage.prompt_tokens)));
    set(counts, 1, make_number(static_cast<double>(usage.completion_tokens)));
    append(DecodedKind::kUsage, 0, counts);
  }

  void on_error(const OpenAiError& error) override {
    napi_value fields = nullptr;
    napi_create_array_with_length(env_, 3, &fields);
    set(fields, 0, make_string(error.message));
    set(fields, 1, make_string(error.type));
    set(fields, 2, make_string(error.code));
    append(DecodedKind::kError, 0, fields);
  }

  void on_done() override { append(DecodedKind::kDone, 0, undefined()); }

  void on_malformed(std::string_view problem) override {
    append(DecodedKind::kMalformed, 0, make_string(problem));
  }

 private:
  void append(DecodedKind kind, std::uint32_t index, napi_value value) {
    set(array_, length_++, make_number(static_cast<double>(kind)));
    set(array_, length_++, make_number(index));
    set(array_, length_++, value);
  }

  void set(napi_value array, std::uint32_t at, napi_value value) {
    if (array != nullptr && value != nullptr) napi_set_element(env_, array, at, value);
  }

  napi_value make_string(std::string_view text) {
    napi_value value = nullptr;
    napi_create_string_utf8(env_, text.data(), text.size(), &value);
    return value;
  }

  napi_value make_number(double number) {
    napi_value value = nullptr;
    napi_create_double(env_, number, &value);
    return value;
  }

  napi_value undefined() {
    napi_value value = nullptr;
    napi_get_undefined(env_, &value);
    return value;
  }

  napi_env env_;
  napi_value array_ = nullptr;
  std::uint32_t length_ = 0;
};

}  // namespace

Napi::Function OpenAiDecoderWrap::define(Napi::Env env) {
  return DefineClass(env, "OpenAiDecoder",
                     {
                         InstanceMethod<&OpenAiDecoderWrap::push>("push"),
                         InstanceMethod<&OpenAiDecoderWrap::end>("end"),
                     });
}

OpenAiDecoderWrap::OpenAiDecoderWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      decoder_({.choices = static_cast<std::uint32_t>(count_from(info.Env(), info[0])),
                .event_bytes = static_cast<std::size_t>(count_from(info.Env(), info[1]))}) {}

Napi::Value OpenAiDecoderWrap::push(const Napi::CallbackInfo& info) {
  ArraySink sink(info.Env());
  decoder_.push(bytes_from(info.Env(), info[0]), sink);
  return sink.array();
}

Napi::Value OpenAiDecoderWrap::end(const Napi::CallbackInfo& info) {
  ArraySink sink(info.Env());
  decoder_.finish(sink);
  return sink.array();
}

}  // namespace sluice
