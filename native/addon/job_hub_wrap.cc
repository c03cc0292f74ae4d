#include "addon/job_hub_wrap.h"

#include "addon/arguments.h"

namespace sluice {

class LaneHub final : public Machine, public HubObserver {
 public:
  LaneHub(HubOptions options, std::shared_ptr<EventLane> lane, double machine_id)
      : hub(options, *this), lane_(std::move(lane)), machine_id_(machine_id) {}

  JobHub hub;

  [[nodiscard]] Nanos next_deadline() const override { return hub.next_deadline(); }
  void advance(Nanos now) override { hub.advance(now); }

  void on_window(JobHandle job, std::uint64_t tokens) override {
    push(EventKind::kJobWindow, job, static_cast<double>(tokens));
  }
  void on_ended(JobHandle job, std::string state) override {
    push(EventKind::kJobEnded, job, std::move(state));
  }
  void on_purged(JobHandle job) override { push(EventKind::kJobPurged, job, {}); }
  void on_channel_open(ChannelHandle channel, bool finished) override {
    push(EventKind::kChannelOpen, channel, finished ? 1.0 : 0.0);
  }
  void on_batch(ChannelHandle channel, Channel::Batch batch) override {
    if (batch.events.empty()) {
      push(EventKind::kChannelFrames, channel, LaneBytes{std::move(batch.frames)});
    } else {
      push(EventKind::kChannelEvents, channel, std::move(batch.events));
    }
  }
  void on_channel_end(ChannelHandle channel, std::string_view reason) override {
    push(EventKind::kChannelEnd, channel, std::string(reason));
  }

  void reply(double request, std::string state) {
    lane_->push(EventKind::kReply, machine_id_, request, std::move(state));
  }

 private:
  void push(EventKind kind, std::uint64_t handle, LaneValue value) {
    lane_->push(kind, machine_id_, static_cast<double>(handle), std::move(value));
  }

  std::shared_ptr<EventLane> lane_;
  double machine_id_;
};

namespace {

Terminal terminal_from(napi_env env, napi_value given) {
  Terminal terminal;
  const std::string type = text_from(env, member_of(env, given, "type"));
  if (type == "error") {
    terminal.kind = Terminal::Kind::kError;
    napi_value error = member_of(env, given, "error");
    terminal.error_code = text_from(env, member_of(env, error, "code"));
    terminal.error_message = text_from(env, member_of(env, error, "message"));
    terminal.error_type = text_from(env, member_of(env, error, "type"));
  } else {
    terminal.kind = type == "complete" ? Terminal::Kind::kComplete : Terminal::Kind::kCancelled;
    terminal.reason = text_from(env, member_of(env, given, "reason"));
  }
  if (napi_value usage = member_of(env, given, "usage"); is_object(env, usage)) {
    terminal.usage = Usage{count_from(env, member_of(env, usage, "prompt_tokens")),
                           count_from(env, member_of(env, usage, "completion_tokens"))};
  }
  return terminal;
}

}  // namespace

Napi::Function JobHubWrap::define(Napi::Env env) {
  return DefineClass(env, "JobHub",
                     {
                         InstanceMethod<&JobHubWrap::create>("create"),
                         InstanceMethod<&JobHubWrap::start>("start"),
                         InstanceMethod<&JobHubWrap::retry>("retry"),
                         InstanceMethod<&JobHubWrap::append>("append"),
                         InstanceMethod<&JobHubWrap::finish>("finish"),
                         InstanceMethod<&JobHubWrap::purge>("purge"),
                         InstanceMethod<&JobHubWrap::state>("state"),
                         InstanceMethod<&JobHubWrap::attach>("attach"),
                         InstanceMethod<&JobHubWrap::acknowledge>("acknowledge"),
                         InstanceMethod<&JobHubWrap::detach>("detach"),
                         InstanceMethod<&JobHubWrap::close>("close"),
                     });
}

JobHubWrap::JobHubWrap(const Napi::CallbackInfo& info)
    : ObjectWrap(info), reactor_(ReactorWrap::handle_of(info, 0)) {
  const double machine_id = number_from(info.Env(), info[1]);
  const auto given = [&info](const char* name) { return member_of(info.Env(), info[2], name); };
  const auto span = [&](const char* name) {
    return nanos_from_ms(number_from(info.Env(), given(name)));
  };
  HubOptions options;
  options.stream_capacity = count_from(info.Env(), given("streamCapacity"));
  options.log_bytes_max = static_cast<std::size_t>(count_from(info.Env(), given("logBytesMax")));
  options.retention = span("retentionMs");
  options.heartbeat = span("heartbeatMs");
  options.stall = span("stallMs");
  options.retry_ms = count_from(info.Env(), given("retryMs"));
  hub_ = std::make_shared<LaneHub>(options, reactor_->lane, machine_id);
  reactor_->executor().post(
      [executor = &reactor_->executor(), hub = hub_](Nanos) { executor->add(hub); });
}

JobHubWrap::~JobHubWrap() {
  shut();
}

void JobHubWrap::shut() {
  if (!hub_) return;
  reactor_->executor().post([executor = &reactor_->executor(), hub = std::move(hub_)](Nanos) {
    executor->remove(hub.get());
  });
  hub_.reset();
}

void JobHubWrap::create(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  const auto given = [&info](const char* name) { return member_of(info.Env(), info[1], name); };
  const auto span = [&](const char* name) {
    return nanos_from_ms(number_from(info.Env(), given(name)));
  };
  JobOptions options;
  options.job_id = text_from(info.Env(), given("jobId"));
  options.cancel_on_disconnect = flag_from(info.Env(), given("cancelOnDisconnect"));
  options.disconnect_grace = span("disconnectGraceMs");
  options.wall_time_max = span("maxWallMs");
  options.prompt_tokens = count_from(info.Env(), given("promptTokens"));
  reactor_->executor().post([hub = hub_, job = count_from(info.Env(), info[0]),
                             options](Nanos now) { hub->hub.create(job, options, now); });
}

void JobHubWrap::start(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, job = count_from(info.Env(), info[0])](Nanos now) { hub->hub.start(job, now); });
}

void JobHubWrap::retry(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, job = count_from(info.Env(), info[0])](Nanos now) { hub->hub.retry(job, now); });
}

void JobHubWrap::append(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, job = count_from(info.Env(), info[0]),
       text = text_from(info.Env(), info[1])](Nanos now) { hub->hub.append(job, text, now); });
}

void JobHubWrap::finish(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, job = count_from(info.Env(), info[0]),
                             terminal = terminal_from(info.Env(), info[1])](Nanos now) {
    hub->hub.finish(job, terminal, now);
  });
}

void JobHubWrap::purge(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, job = count_from(info.Env(), info[0])](Nanos now) { hub->hub.purge(job, now); });
}

void JobHubWrap::state(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, job = count_from(info.Env(), info[0]),
                             with_text = flag_from(info.Env(), info[1]),
                             request = number_from(info.Env(), info[2])](Nanos now) {
    hub->reply(request, hub->hub.state(job, with_text, now));
  });
}

void JobHubWrap::attach(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  const auto mode =
      flag_from(info.Env(), info[1]) ? Channel::Mode::kEvents : Channel::Mode::kFrames;
  const std::vector<napi_value> jobs = elements_of(info.Env(), info[3]);
  const std::vector<napi_value> cursors = elements_of(info.Env(), info[4]);
  std::vector<JobHub::Cursor> members;
  members.reserve(jobs.size());
  for (std::size_t i = 0; i < jobs.size() && i < cursors.size(); ++i) {
    members.push_back({count_from(info.Env(), jobs[i]), text_from(info.Env(), cursors[i])});
  }
  reactor_->executor().post([hub = hub_, channel = count_from(info.Env(), info[0]), mode,
                             fan_in = flag_from(info.Env(), info[2]),
                             members = std::move(members)](Nanos now) {
    hub->hub.attach(channel, mode, fan_in, members, now);
  });
}

void JobHubWrap::acknowledge(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  std::vector<ChannelHandle> channels;
  for (napi_value channel : elements_of(info.Env(), info[0])) {
    channels.push_back(count_from(info.Env(), channel));
  }
  reactor_->executor().post([hub = hub_, channels = std::move(channels)](Nanos now) {
    for (const ChannelHandle channel : channels) hub->hub.acknowledge(channel, now);
  });
}

void JobHubWrap::detach(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, channel = count_from(info.Env(), info[0])](Nanos now) {
    hub->hub.detach(channel, now);
  });
}

void JobHubWrap::close(const Napi::CallbackInfo& /*info*/) {
  shut();
}

}  // namespace sluice
