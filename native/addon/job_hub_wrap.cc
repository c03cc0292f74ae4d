#include "addon/job_hub_wrap.h"

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

std::uint64_t handle_arg(const Napi::Value& value) {
  return static_cast<std::uint64_t>(value.ToNumber().Int64Value());
}

std::string string_member(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

double number_member(const Napi::Object& object, const char* key) {
  return object.Get(key).ToNumber().DoubleValue();
}

std::uint64_t count_member(const Napi::Object& object, const char* key) {
  return static_cast<std::uint64_t>(number_member(object, key));
}

Terminal terminal_from(const Napi::Object& object) {
  Terminal terminal;
  const std::string type = string_member(object, "type");
  if (type == "error") {
    terminal.kind = Terminal::Kind::kError;
    const Napi::Object error = object.Get("error").ToObject();
    terminal.error_code = string_member(error, "code");
    terminal.error_message = string_member(error, "message");
    terminal.error_type = string_member(error, "type");
  } else {
    terminal.kind = type == "complete" ? Terminal::Kind::kComplete : Terminal::Kind::kCancelled;
    terminal.reason = string_member(object, "reason");
  }
  if (const Napi::Value usage = object.Get("usage"); usage.IsObject()) {
    const auto counts = usage.As<Napi::Object>();
    terminal.usage =
        Usage{count_member(counts, "prompt_tokens"), count_member(counts, "completion_tokens")};
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
    : ObjectWrap(info), reactor_(ReactorWrap::handle_of(info[0])) {
  const double machine_id = info[1].ToNumber().DoubleValue();
  const Napi::Object given = info[2].ToObject();
  HubOptions options;
  options.stream_capacity = count_member(given, "streamCapacity");
  options.log_bytes_max = static_cast<std::size_t>(count_member(given, "logBytesMax"));
  options.retention = nanos_from_ms(number_member(given, "retentionMs"));
  options.heartbeat = nanos_from_ms(number_member(given, "heartbeatMs"));
  options.stall = nanos_from_ms(number_member(given, "stallMs"));
  options.retry_ms = count_member(given, "retryMs");
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
  const Napi::Object given = info[1].ToObject();
  JobOptions options;
  options.job_id = string_member(given, "jobId");
  options.cancel_on_disconnect = given.Get("cancelOnDisconnect").ToBoolean();
  options.disconnect_grace = nanos_from_ms(number_member(given, "disconnectGraceMs"));
  options.wall_time_max = nanos_from_ms(number_member(given, "maxWallMs"));
  options.prompt_tokens = count_member(given, "promptTokens");
  reactor_->executor().post([hub = hub_, job = handle_arg(info[0]), options](Nanos now) {
    hub->hub.create(job, options, now);
  });
}

void JobHubWrap::start(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, job = handle_arg(info[0])](Nanos now) { hub->hub.start(job, now); });
}

void JobHubWrap::retry(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, job = handle_arg(info[0])](Nanos now) { hub->hub.retry(job, now); });
}

void JobHubWrap::append(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, job = handle_arg(info[0]),
                             text = info[1].As<Napi::String>().Utf8Value()](Nanos now) {
    hub->hub.append(job, text, now);
  });
}

void JobHubWrap::finish(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, job = handle_arg(info[0]),
                             terminal = terminal_from(info[1].ToObject())](Nanos now) {
    hub->hub.finish(job, terminal, now);
  });
}

void JobHubWrap::purge(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, job = handle_arg(info[0])](Nanos now) { hub->hub.purge(job, now); });
}

void JobHubWrap::state(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, job = handle_arg(info[0]),
                             with_text = info[1].ToBoolean().Value(),
                             request = info[2].ToNumber().DoubleValue()](Nanos now) {
    hub->reply(request, hub->hub.state(job, with_text, now));
  });
}

void JobHubWrap::attach(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  const auto mode = info[1].ToBoolean() ? Channel::Mode::kEvents : Channel::Mode::kFrames;
  const auto jobs = info[3].As<Napi::Array>();
  const auto cursors = info[4].As<Napi::Array>();
  std::vector<JobHub::Cursor> members;
  members.reserve(jobs.Length());
  for (std::uint32_t i = 0; i < jobs.Length(); ++i) {
    members.push_back({handle_arg(jobs.Get(i)), cursors.Get(i).As<Napi::String>().Utf8Value()});
  }
  reactor_->executor().post([hub = hub_, channel = handle_arg(info[0]), mode,
                             fan_in = info[2].ToBoolean().Value(),
                             members = std::move(members)](Nanos now) {
    hub->hub.attach(channel, mode, fan_in, members, now);
  });
}

void JobHubWrap::acknowledge(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  const auto array = info[0].As<Napi::Array>();
  std::vector<ChannelHandle> channels;
  channels.reserve(array.Length());
  for (std::uint32_t i = 0; i < array.Length(); ++i) channels.push_back(handle_arg(array.Get(i)));
  reactor_->executor().post([hub = hub_, channels = std::move(channels)](Nanos now) {
    for (const ChannelHandle channel : channels) hub->hub.acknowledge(channel, now);
  });
}

void JobHubWrap::detach(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, channel = handle_arg(info[0])](Nanos now) { hub->hub.detach(channel, now); });
}

void JobHubWrap::close(const Napi::CallbackInfo& /*info*/) {
  shut();
}

}  // namespace sluice
