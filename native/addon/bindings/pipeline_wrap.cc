#include "addon/bindings/pipeline_wrap.h"

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

void LanePipeline::accepted(ItemId item) {
  lane_->push(EventKind::kPipelineAccepted, target_, static_cast<double>(item));
}

void LanePipeline::dispatch(BatchId batch, const std::vector<ItemId>& items) {
  lane_->push(EventKind::kPipelineDispatch, target_, static_cast<double>(batch),
              std::vector<double>(items.begin(), items.end()));
}

void LanePipeline::removed(ItemId item, bool was_accepted) {
  lane_->push(EventKind::kPipelineRemoved, target_, static_cast<double>(item),
              was_accepted ? 1.0 : 0.0);
}

void LanePipeline::closed() {
  lane_->push(EventKind::kPipelineClosed, target_);
}

Napi::Function PipelineWrap::define(Napi::Env env) {
  return DefineClass(env, "Pipeline",
                     {
                         InstanceMethod<&PipelineWrap::submit>("submit"),
                         InstanceMethod<&PipelineWrap::abort>("abort"),
                         InstanceMethod<&PipelineWrap::batch_done>("batchDone"),
                         InstanceMethod<&PipelineWrap::retry>("retry"),
                         InstanceMethod<&PipelineWrap::close>("close"),
                         InstanceMethod<&PipelineWrap::counts>("counts"),
                         InstanceMethod<&PipelineWrap::dispose>("dispose"),
                     });
}

PipelineWrap::PipelineWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      reactor_(ReactorWrap::handle_of(info, 0)),
      pipeline_(std::make_shared<LanePipeline>(options_from(info.Env(), info[2]), reactor_->lane,
                                               number_from(info.Env(), info[1]))) {
  reactor_->executor().post(
      [executor = &reactor_->executor(), pipeline = pipeline_](Nanos) { executor->add(pipeline); });
}

PipelineWrap::~PipelineWrap() {
  forget();
}

// Runs `command(core, now)` on the reactor. Once that has stopped nothing runs any more: the
// environment is going away.
template <typename Command>
void PipelineWrap::post(Command command) {
  reactor_->executor().post([pipeline = pipeline_, command = std::move(command)](Nanos now) {
    pipeline->run([&](PipelineCore& core) { command(core, now); });
  });
}

void PipelineWrap::forget() {
  if (disposed_) return;
  disposed_ = true;
  reactor_->executor().post([executor = &reactor_->executor(), pipeline = pipeline_](Nanos) {
    executor->remove(pipeline.get());
  });
}

void PipelineWrap::submit(const Napi::CallbackInfo& info) {
  post([item = count_from(info.Env(), info[0])](PipelineCore& core, Nanos now) {
    core.submit(item, now);
  });
}

void PipelineWrap::abort(const Napi::CallbackInfo& info) {
  post([item = count_from(info.Env(), info[0])](PipelineCore& core, Nanos now) {
    core.abort(item, now);
  });
}

void PipelineWrap::batch_done(const Napi::CallbackInfo& info) {
  post([batch = count_from(info.Env(), info[0])](PipelineCore& core, Nanos now) {
    core.batch_done(batch, now);
  });
}

void PipelineWrap::retry(const Napi::CallbackInfo& info) {
  std::vector<ItemId> items;
  for (napi_value item : elements_of(info.Env(), info[0])) {
    items.push_back(count_from(info.Env(), item));
  }
  const Nanos delay = nanos_from_ms(number_from(info.Env(), info[1]));
  post([items = std::move(items), delay](PipelineCore& core, Nanos now) {
    core.retry(items, delay, now);
  });
}

void PipelineWrap::close(const Napi::CallbackInfo& /*info*/) {
  post([](PipelineCore& core, Nanos now) { core.close(now); });
}

Napi::Value PipelineWrap::counts(const Napi::CallbackInfo& info) {
  const PipelineCounts counts = pipeline_->counts();
  const std::array<std::size_t, 7> values{
      counts.waiting,       counts.incoming,           counts.batching,
      counts.processing,    counts.processing_batches, counts.retrying,
      counts.active_batches};
  return array_of(info.Env(), values);
}

void PipelineWrap::dispose(const Napi::CallbackInfo& /*info*/) {
  forget();
}

}  // namespace sluice
