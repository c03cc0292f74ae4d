#include "addon/bindings/task_graph_wrap.h"

#include <string>
#include <utility>
#include <vector>

#include "addon/napi/arguments.h"
#include "addon/napi/named_numbers.h"

namespace sluice {

void LaneGraph::started(TaskId task, std::uint64_t attempt) {
  lane_->push(EventKind::kGraphStarted, target_, static_cast<double>(task),
              static_cast<double>(attempt));
}

void LaneGraph::retrying(TaskId task, std::uint64_t attempt, Nanos delay) {
  lane_->push(EventKind::kGraphRetrying, target_, static_cast<double>(task),
              std::vector<double>{static_cast<double>(attempt), ms_from_nanos(delay)});
}

void LaneGraph::completed(TaskId task) {
  lane_->push(EventKind::kGraphCompleted, target_, static_cast<double>(task));
}

void LaneGraph::failed(TaskId task) {
  lane_->push(EventKind::kGraphFailed, target_, static_cast<double>(task));
}

void LaneGraph::skipped(TaskId task, TaskId culprit) {
  lane_->push(EventKind::kGraphSkipped, target_, static_cast<double>(task),
              static_cast<double>(culprit));
}

void LaneGraph::ended() {
  lane_->push(EventKind::kGraphEnded, target_);
}

Napi::Function TaskGraphWrap::define(Napi::Env env) {
  const auto at = [](PlanFault::Kind kind) { return number_of(kind); };
  return DefineClass(
      env, "TaskGraph",
      {
          StaticValue("Fault", named_numbers(env,
                                             {
                                                 {"DUPLICATE", at(PlanFault::Kind::kDuplicate)},
                                                 {"UNKNOWN", at(PlanFault::Kind::kUnknown)},
                                                 {"CYCLE", at(PlanFault::Kind::kCycle)},
                                             })),
          InstanceMethod<&TaskGraphWrap::add>("add"),
          InstanceMethod<&TaskGraphWrap::check>("check"),
          InstanceMethod<&TaskGraphWrap::start>("start"),
          InstanceMethod<&TaskGraphWrap::complete>("complete"),
          InstanceMethod<&TaskGraphWrap::fail>("fail"),
          InstanceMethod<&TaskGraphWrap::cancel>("cancel"),
          InstanceMethod<&TaskGraphWrap::dispose>("dispose"),
      });
}

TaskGraphWrap::TaskGraphWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      reactor_(ReactorWrap::handle_of(info, 0)),
      target_(number_from(info.Env(), info[1])) {}

TaskGraphWrap::~TaskGraphWrap() {
  forget();
}

void TaskGraphWrap::forget() {
  if (!run_) return;
  reactor_->executor().post([executor = &reactor_->executor(), run = std::move(run_)](Nanos) {
    executor->remove(run.get());
  });
  run_.reset();
}

// Runs `command(graph, now)` on the reactor.
template <typename Command>
void TaskGraphWrap::post(Command command) {
  if (!run_) return;
  reactor_->executor().post(
      [run = run_, command = std::move(command)](Nanos now) { command(run->graph, now); });
}

void TaskGraphWrap::add(const Napi::CallbackInfo& info) {
  std::vector<std::string> after;
  for (napi_value name : elements_of(info.Env(), info[1])) {
    after.push_back(text_from(info.Env(), name));
  }
  TaskOptions options;
  options.attempts_max = count_from(info.Env(), info[2]);
  options.backoff_base = nanos_from_ms(number_from(info.Env(), info[3]));
  options.backoff_cap = nanos_from_ms(number_from(info.Env(), info[4]));
  options.continue_on_failure = flag_from(info.Env(), info[5]);
  plan_.add(text_from(info.Env(), info[0]), std::move(after), options);
}

Napi::Value TaskGraphWrap::check(const Napi::CallbackInfo& info) {
  const PlanFault fault = plan_.check();
  if (fault.kind == PlanFault::Kind::kNone) return info.Env().Undefined();
  std::vector<double> told{static_cast<double>(fault.kind)};
  if (fault.kind == PlanFault::Kind::kCycle) {
    told.insert(told.end(), fault.cycle.begin(), fault.cycle.end());
  } else {
    told.push_back(static_cast<double>(fault.task));
    told.push_back(static_cast<double>(fault.dependency));
  }
  return array_of(info.Env(), told);
}

void TaskGraphWrap::start(const Napi::CallbackInfo& info) {
  if (run_) return;
  const auto concurrency = static_cast<std::size_t>(count_from(info.Env(), info[0]));
  run_ = std::make_shared<LaneGraph>(std::move(plan_), concurrency, reactor_->lane, target_);
  reactor_->executor().post([executor = &reactor_->executor(), run = run_](Nanos) {
    executor->add(run);
    run->graph.start();
  });
}

void TaskGraphWrap::complete(const Napi::CallbackInfo& info) {
  post([task = static_cast<TaskId>(count_from(info.Env(), info[0]))](TaskGraph& graph, Nanos) {
    graph.complete(task);
  });
}

void TaskGraphWrap::fail(const Napi::CallbackInfo& info) {
  const TaskGraph::Failure failure{
      .retryable = flag_from(info.Env(), info[1]),
      .retry_after = nanos_from_ms(number_from(info.Env(), info[2])),
      .random = number_from(info.Env(), info[3]),
  };
  post([task = static_cast<TaskId>(count_from(info.Env(), info[0])), failure](
           TaskGraph& graph, Nanos now) { graph.fail(task, failure, now); });
}

void TaskGraphWrap::cancel(const Napi::CallbackInfo& /*info*/) {
  post([](TaskGraph& graph, Nanos) { graph.cancel(); });
}

void TaskGraphWrap::dispose(const Napi::CallbackInfo& /*info*/) {
  forget();
}

}  // namespace sluice
