// The addon: per-environment state in the instance of Napi::Addon, one class per binding file.
//
// Loads into any number of environments of one process (worker threads, repeated require): there
// is no global state.
#include <napi.h>

#include "addon/job_hub_wrap.h"
#include "addon/openai_decoder_wrap.h"
#include "addon/pipeline_wrap.h"
#include "addon/reactor_wrap.h"
#include "addon/stream_buffer_wrap.h"
#include "runtime/curl_api.h"

namespace sluice {

class Module final : public Napi::Addon<Module> {
 public:
  Module(Napi::Env env, Napi::Object exports) {
    DefineAddon(exports,
                {
                    InstanceValue("JobHub", JobHubWrap::define(env), napi_enumerable),
                    InstanceValue("OpenAiDecoder", OpenAiDecoderWrap::define(env), napi_enumerable),
                    InstanceValue("Pipeline", PipelineWrap::define(env), napi_enumerable),
                    InstanceValue("Reactor", ReactorWrap::define(env), napi_enumerable),
                    InstanceValue("StreamBuffer", StreamBufferWrap::define(env), napi_enumerable),
                    InstanceMethod("upstreamClient", &Module::upstream_client, napi_enumerable),
                });
  }

 private:
  // What makes upstream calls on the reactor, `libcurl 7.88.1`; empty where there is nothing.
  Napi::Value upstream_client(const Napi::CallbackInfo& info) {
    const CurlApi* const curl = CurlApi::get();
    return Napi::String::New(info.Env(),
                             curl == nullptr ? "" : std::string("libcurl ") + curl->version());
  }
};

}  // namespace sluice

using sluice::Module;
NODE_API_ADDON(Module)
