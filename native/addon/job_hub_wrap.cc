#include "addon/job_hub_wrap.h"

#include <limits>

#include "addon/arguments.h"
#include "addon/lane_hub.h"

namespace sluice {

namespace {

struct Token {
  JobHandle job;
  std::string text;
};

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

// Infinity, and what does not fit: no limit.
std::uint64_t limit_from(napi_env env, napi_value value) {
  constexpr double kLargest = 9007199254740992.0;  // 2^53
  const double limit = number_from(env, value);
  return limit < kLargest ? static_cast<std::uint64_t>(limit)
                          : std::numeric_limits<std::uint64_t>::max();
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
                         InstanceMethod<&JobHubWrap::adopt>("adopt"),
                         InstanceMethod<&JobHubWrap::acknowledge>("acknowledge"),
                         InstanceMethod<&JobHubWrap::detach>("detach"),
                         InstanceMethod<&JobHubWrap::relay>("relay"),
                         InstanceMethod<&JobHubWrap::abort_relay>("abortRelay"),
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
  hub_ = std::make_shared<LaneHub>(options, reactor_->lane, machine_id, reactor_->reactor.get());
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
  const std::vector<napi_value> jobs = elements_of(info.Env(), info[0]);
  const std::vector<napi_value> texts = elements_of(info.Env(), info[1]);
  std::vector<Token> tokens;
  tokens.reserve(jobs.size());
  for (std::size_t i = 0; i < jobs.size() && i < texts.size(); ++i) {
    tokens.push_back({count_from(info.Env(), jobs[i]), text_from(info.Env(), texts[i])});
  }
  reactor_->executor().post([hub = hub_, tokens = std::move(tokens)](Nanos now) {
    for (const Token& token : tokens) hub->hub.append(token.job, token.text, now);
  });
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

Napi::Value JobHubWrap::adopt(const Napi::CallbackInfo& info) {
  const int fd = static_cast<int>(number_from(info.Env(), info[1]));
  UniqueFd copy = hub_ && reactor_->reactor ? UniqueFd::duplicate_of(fd) : UniqueFd();
  const bool adopted = copy.valid();
  if (adopted) {
    // Commands are copyable, descriptors are not.
    auto owned = std::make_shared<UniqueFd>(std::move(copy));
    reactor_->executor().post([hub = hub_, channel = count_from(info.Env(), info[0]),
                               owned](Nanos now) { hub->adopt(channel, std::move(*owned), now); });
  }
  return Napi::Boolean::New(info.Env(), adopted);
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
    hub->detach(channel, now);
  });
}

void JobHubWrap::relay(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  const auto given = [&info](const char* name) { return member_of(info.Env(), info[1], name); };
  UpstreamRequest request;
  request.url = text_from(info.Env(), given("url"));
  request.body = text_from(info.Env(), given("body"));
  for (napi_value header : elements_of(info.Env(), given("headers"))) {
    request.headers.push_back(latin1_from(info.Env(), header));
  }
  Relay::Options options{.idle = nanos_from_ms(number_from(info.Env(), given("idleMs"))),
                         .answers = {}};
  const std::vector<napi_value> jobs = elements_of(info.Env(), given("jobs"));
  const std::vector<napi_value> limits = elements_of(info.Env(), given("deltasMax"));
  for (std::size_t i = 0; i < jobs.size() && i < limits.size(); ++i) {
    options.answers.push_back({count_from(info.Env(), jobs[i]), limit_from(info.Env(), limits[i])});
  }
  reactor_->executor().post(
      [hub = hub_, call = count_from(info.Env(), info[0]), request = std::move(request),
       options = std::move(options)](Nanos now) { hub->relay(call, request, options, now); });
}

void JobHubWrap::abort_relay(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, call = count_from(info.Env(), info[0])](Nanos now) {
    hub->abort_relay(call, now);
  });
}

void JobHubWrap::close(const Napi::CallbackInfo& /*info*/) {
  shut();
}

}  // namespace sluice
