// The addon: per-environment state in the instance of Napi::Addon, one class per binding file.
//
// Loads into any number of environments of one process (worker threads, repeated require): there
// is no global state.
#include <napi.h>

#include "addon/bindings/cache/lru_ttl_table_wrap.h"
#include "addon/bindings/crawl/frontier_wrap.h"
#include "addon/bindings/kv/snapshot_wrap.h"
#include "addon/bindings/kv/store_wrap.h"
#include "addon/bindings/kv/transaction_wrap.h"
#include "addon/bindings/ledger/ledger_wrap.h"
#include "addon/bindings/limits/limiter_wrap.h"
#include "addon/bindings/limits/quota_wrap.h"
#include "addon/bindings/limits/rolling_window_wrap.h"
#include "addon/bindings/logs/parser_wrap.h"
#include "addon/bindings/redis/link_wrap.h"
#include "addon/bindings/scheduling/pipeline_wrap.h"
#include "addon/bindings/scheduling/stream_buffer_wrap.h"
#include "addon/bindings/scheduling/task_graph_wrap.h"
#include "addon/bindings/storage/store_wrap.h"
#include "addon/bindings/streams/hub_wrap.h"
#include "addon/enums.h"
#include "addon/napi/arguments.h"
#include "addon/napi/reactor_wrap.h"
#include "core/base/backoff.h"
#include "core/redis/reply_reader.h"
#include "runtime/upstream/curl_api.h"

namespace sluice {

class Module final : public Napi::Addon<Module> {
 public:
  Module(Napi::Env env, Napi::Object exports) {
    DefineAddon(
        exports,
        {
            InstanceValue("CrawlFrontier", CrawlFrontierWrap::define(env), napi_enumerable),
            InstanceValue("FixedWindow", FixedWindowWrap::define(env), napi_enumerable),
            InstanceValue("JobHub", JobHubWrap::define(env), napi_enumerable),
            InstanceValue("KvSnapshot", KvSnapshotWrap::define(env), napi_enumerable),
            InstanceValue("KvStore", KvStoreWrap::define(env), napi_enumerable),
            InstanceValue("KvTransaction", KvTransactionWrap::define(env), napi_enumerable),
            InstanceValue("Ledger", LedgerWrap::define(env), napi_enumerable),
            InstanceValue("LogParser", LogParserWrap::define(env), napi_enumerable),
            InstanceValue("LruTtlTable", LruTtlTableWrap::define(env), napi_enumerable),
            InstanceValue("Pipeline", PipelineWrap::define(env), napi_enumerable),
            InstanceValue("Quota", QuotaWrap::define(env), napi_enumerable),
            InstanceValue("Reactor", ReactorWrap::define(env), napi_enumerable),
            InstanceValue("RedisLink", RedisLinkWrap::define(env), napi_enumerable),
            InstanceValue("RollingWindow", RollingWindowWrap::define(env), napi_enumerable),
            InstanceValue("SlidingCounter", SlidingCounterWrap::define(env), napi_enumerable),
            InstanceValue("SlidingLog", SlidingLogWrap::define(env), napi_enumerable),
            InstanceValue("Store", StoreWrap::define(env), napi_enumerable),
            InstanceValue("StreamBuffer", StreamBufferWrap::define(env), napi_enumerable),
            InstanceValue("TaskGraph", TaskGraphWrap::define(env), napi_enumerable),
            InstanceValue("TokenBucket", TokenBucketWrap::define(env), napi_enumerable),
            InstanceValue("enums", native_enums(env), napi_enumerable),
            InstanceMethod("fullJitterMs", &Module::full_jitter_ms, napi_enumerable),
            InstanceMethod("hasRedis", &Module::has_redis, napi_enumerable),
            InstanceMethod("upstreamClient", &Module::upstream_client, napi_enumerable),
        });
  }

 private:
  // fullJitterMs(baseMs, capMs, retry, random): the delay before the n-th retry from 0.
  Napi::Value full_jitter_ms(const Napi::CallbackInfo& info) {
    const auto number = [&info](std::size_t i) { return number_from(info.Env(), info[i]); };
    const Nanos delay = full_jitter(nanos_from_ms(number(0)), nanos_from_ms(number(1)),
                                    count_from(info.Env(), info[2]), number(3));
    return Napi::Number::New(info.Env(), ms_from_nanos(delay));
  }

  // Whether this build has the link to Redis.
  Napi::Value has_redis(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), redis::ReplyReader::available());
  }

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
