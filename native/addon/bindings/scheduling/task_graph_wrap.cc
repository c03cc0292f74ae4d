#include "addon/bindings/scheduling/task_graph_wrap.h"

#include <string>
#include <utility>
#include <vector>

#include "addon/napi/arguments.h"

namespace sluice {

void TaskGraphBridge::started(TaskId task, std::uint64_t attempt) {
  events_->push(EventKind::kGraphStarted, target_, static_cast<double>(task),
                static_cast<double>(attempt));
}

void TaskGraphBridge::retrying(TaskId task, std::uint64_t attempt, Nanos delay) {
  events_->push(EventKind::kGraphRetrying, target_, static_cast<double>(task),
                std::vector<double>{static_cast<double>(attempt), ms_from_nanos(delay)});
}

void TaskGraphBridge::completed(TaskId task) {
  events_->push(EventKind::kGraphCompleted, target_, static_cast<double>(task));
}

void TaskGraphBridge::failed(TaskId task) {
  events_->push(EventKind::kGraphFailed, target_, static_cast<double>(task));
}

void TaskGraphBridge::skipped(TaskId task, TaskId culprit) {
  events_->push(EventKind::kGraphSkipped, target_, static_cast<double>(task),
                static_cast<double>(culprit));
}

void TaskGraphBridge::ended() {
  events_->push(EventKind::kGraphEnded, target_);
}

Napi::Function TaskGraphWrap::define(Napi::Env env) {
  return DefineClass(env, "TaskGraph",
                     {
                         InstanceMethod<&TaskGraphWrap::add>("add"),
                         InstanceMethod<&TaskGraphWrap::check>("check"),
                         InstanceMethod<&TaskGraphWrap::start>("start"),
                         method<&TaskGraph::complete>("complete"),
                         method<&TaskGraphBridge::fail>("fail"),
                         method<&TaskGraph::cancel>("cancel"),
                         InstanceMethod<&TaskGraphWrap::dispose>("dispose"),
                     });
}

TaskGraphWrap::TaskGraphWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      event_target_(number_from(info.Env(), info[1])),
      run_{.reactor = ReactorWrap::handle_of(info, 0), .machine = nullptr} {}

TaskGraphWrap::~TaskGraphWrap() {
  run_.remove();
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
  std::vector<double> numbers{static_cast<double>(fault.kind)};
  if (fault.kind == PlanFault::Kind::kCycle) {
    numbers.insert(numbers.end(), fault.cycle.begin(), fault.cycle.end());
  } else {
    numbers.push_back(static_cast<double>(fault.task));
    numbers.push_back(static_cast<double>(fault.dependency));
  }
  return {info.Env(), array_of(info.Env(), numbers)};
}

void TaskGraphWrap::start(const Napi::CallbackInfo& info) {
  if (run_.machine) return;
  const auto concurrency = static_cast<std::size_t>(count_from(info.Env(), info[0]));
  run_.machine = std::make_shared<TaskGraphBridge>(std::move(plan_), concurrency,
                                                   run_.reactor->events, event_target_);
  run_.add();
  run_.post([](TaskGraphBridge& run, Nanos) { run.graph.start(); });
}

void TaskGraphWrap::dispose(const Napi::CallbackInfo& /*info*/) {
  run_.remove();
}

}  // namespace sluice
