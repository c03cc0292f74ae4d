#include "addon/bindings/scheduling/pipeline_wrap.h"

#include <array>
#include <utility>
#include <vector>

#include "addon/napi/arguments.h"

namespace sluice {
namespace {

PipelineOptions options_from(napi_env env, napi_value given) {
  const auto size = [env, given](const char* name) {
    return static_cast<std::size_t>(count_from(env, member_of(env, given, name)));
  };
  const auto span = [env, given](const char* name) {
    return nanos_from_ms(number_from(env, member_of(env, given, name)));
  };
  PipelineOptions out;
  out.batching.max_batch_size = size("maxBatchSize");
  out.batching.idle_flush = span("idleFlushMs");
  out.batching.max_wait = span("maxWaitMs");
  out.max_concurrency = size("maxConcurrency");
  out.incoming_capacity = size("incomingCapacity");
  out.processing_capacity = size("processingCapacity");
  return out;
}

}  // namespace

void PipelineBridge::accepted(ItemId item) {
  events_->push(EventKind::kPipelineAccepted, target_, static_cast<double>(item));
}

void PipelineBridge::dispatch(BatchId batch, const std::vector<ItemId>& items) {
  events_->push(EventKind::kPipelineDispatch, target_, static_cast<double>(batch),
                std::vector<double>(items.begin(), items.end()));
}

void PipelineBridge::removed(ItemId item, bool was_accepted) {
  events_->push(EventKind::kPipelineRemoved, target_, static_cast<double>(item),
                was_accepted ? 1.0 : 0.0);
}

void PipelineBridge::closed() {
  events_->push(EventKind::kPipelineClosed, target_);
}

Napi::Function PipelineWrap::define(Napi::Env env) {
  return DefineClass(env, "Pipeline",
                     {
                         method<&PipelineCore::submit>("submit"),
                         method<&PipelineCore::abort>("abort"),
                         method<&PipelineCore::hold>("hold"),
                         method<&PipelineCore::batch_done>("batchDone"),
                         method<&PipelineCore::retry>("retry"),
                         method<&PipelineCore::close>("close"),
                         InstanceMethod<&PipelineWrap::counts>("counts"),
                         InstanceMethod<&PipelineWrap::dispose>("dispose"),
                     });
}

PipelineWrap::PipelineWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  commands_.reactor = ReactorWrap::handle_of(info, 0);
  bridge_ =
      std::make_shared<PipelineBridge>(options_from(info.Env(), info[2]), commands_.reactor->events,
                                       number_from(info.Env(), info[1]));
  commands_.machine = bridge_;
  commands_.add();
}

PipelineWrap::~PipelineWrap() {
  commands_.remove();
}

Napi::Value PipelineWrap::counts(const Napi::CallbackInfo& info) {
  const PipelineCounts counts = bridge_->counts();
  const std::array<std::size_t, 7> values{
      counts.waiting,       counts.incoming,           counts.batching,
      counts.processing,    counts.processing_batches, counts.retrying,
      counts.active_batches};
  return {info.Env(), array_of(info.Env(), values)};
}

void PipelineWrap::dispose(const Napi::CallbackInfo& /*info*/) {
  commands_.remove();
}

}  // namespace sluice
