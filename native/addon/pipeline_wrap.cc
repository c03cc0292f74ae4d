#include "addon/pipeline_wrap.h"

#include <array>
#include <utility>
#include <vector>

namespace sluice {
namespace {

std::size_t size_option(const Napi::Object& options, const char* name) {
  return static_cast<std::size_t>(options.Get(name).ToNumber().Int64Value());
}

Nanos span_option(const Napi::Object& options, const char* name) {
  return nanos_from_ms(options.Get(name).ToNumber().DoubleValue());
}

PipelineOptions options_from(const Napi::Object& options) {
  PipelineOptions out;
  out.batching.max_batch_size = size_option(options, "maxBatchSize");
  out.batching.idle_flush = span_option(options, "idleFlushMs");
  out.batching.max_wait = span_option(options, "maxWaitMs");
  out.max_concurrency = size_option(options, "maxConcurrency");
  out.incoming_capacity = size_option(options, "incomingCapacity");
  out.processing_capacity = size_option(options, "processingCapacity");
  return out;
}

std::uint64_t id_from(const Napi::Value& value) {
  return static_cast<std::uint64_t>(value.ToNumber().Int64Value());
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
      reactor_(ReactorWrap::handle_of(info[0])),
      pipeline_(std::make_shared<LanePipeline>(options_from(info[2].As<Napi::Object>()),
                                               reactor_->lane, info[1].ToNumber().DoubleValue())) {
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
  post([item = id_from(info[0])](PipelineCore& core, Nanos now) { core.submit(item, now); });
}

void PipelineWrap::abort(const Napi::CallbackInfo& info) {
  post([item = id_from(info[0])](PipelineCore& core, Nanos now) { core.abort(item, now); });
}

void PipelineWrap::batch_done(const Napi::CallbackInfo& info) {
  post([batch = id_from(info[0])](PipelineCore& core, Nanos now) { core.batch_done(batch, now); });
}

void PipelineWrap::retry(const Napi::CallbackInfo& info) {
  const auto array = info[0].As<Napi::Array>();
  std::vector<ItemId> items;
  items.reserve(array.Length());
  for (std::uint32_t i = 0; i < array.Length(); ++i) items.push_back(id_from(array[i]));
  const Nanos delay = nanos_from_ms(info[1].ToNumber().DoubleValue());
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
  const auto out = Napi::Array::New(info.Env(), values.size());
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    out.Set(i, Napi::Number::New(info.Env(), static_cast<double>(values[i])));
  }
  return out;
}

void PipelineWrap::dispose(const Napi::CallbackInfo& /*info*/) {
  forget();
}

}  // namespace sluice
