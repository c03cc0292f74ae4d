#include "addon/bindings/hub_wrap.h"

#include <limits>

#include "addon/bindings/hub_bridge.h"
#include "addon/bindings/store_journal.h"
#include "addon/bindings/store_wrap.h"
#include "addon/napi/arguments.h"
#include "runtime/storage/job_journal.h"

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
  terminal.details = text_from(env, member_of(env, given, "details"));
  if (napi_value usage = member_of(env, given, "usage"); is_object(env, usage)) {
    terminal.usage = Usage{count_from(env, member_of(env, usage, "prompt_tokens")),
                           count_from(env, member_of(env, usage, "completion_tokens"))};
  }
  return terminal;
}

// Nanoseconds of a row, NULL for not yet.
Nanos span_from(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value == nullptr || napi_typeof(env, value, &type) != napi_ok || type != napi_number) {
    return kNever;
  }
  return static_cast<Nanos>(number_from(env, value));
}

// The rows of its tokens: seq, count, text, ends.
TokenRun tokens_from(napi_env env, napi_value rows) {
  TokenRun run;
  for (napi_value row : elements_of(env, rows)) {
    const std::vector<napi_value> columns = elements_of(env, row);
    if (columns.size() != 4) break;
    const auto seq = static_cast<std::int64_t>(number_from(env, columns[0]));
    // What follows a row that does not fit cannot be read in its place.
    if (!append_run(run, seq, bytes_from(env, columns[2]), bytes_from(env, columns[3]))) break;
  }
  return run;
}

JobKind kind_from(std::string_view name) {
  if (name == "workflow") return JobKind::kWorkflow;
  return name == "crawl" ? JobKind::kCrawl : JobKind::kJob;
}

/// Of a call's second argument.
Relay::Options relay_options(const Napi::CallbackInfo& info) {
  const auto given = [&info](const char* name) { return member_of(info.Env(), info[1], name); };
  Relay::Options options{.idle = nanos_from_ms(number_from(info.Env(), given("idleMs"))),
                         .jobs = {}};
  for (napi_value job : elements_of(info.Env(), given("jobs"))) {
    options.jobs.push_back(count_from(info.Env(), job));
  }
  return options;
}

}  // namespace

Napi::Function JobHubWrap::define(Napi::Env env) {
  return DefineClass(env, "JobHub",
                     {
                         InstanceMethod<&JobHubWrap::create>("create"),
                         InstanceMethod<&JobHubWrap::start>("start"),
                         InstanceMethod<&JobHubWrap::retry>("retry"),
                         InstanceMethod<&JobHubWrap::append>("append"),
                         InstanceMethod<&JobHubWrap::append_typed>("appendTyped"),
                         InstanceMethod<&JobHubWrap::reopen>("reopen"),
                         InstanceMethod<&JobHubWrap::finish>("finish"),
                         InstanceMethod<&JobHubWrap::restore>("restore"),
                         InstanceMethod<&JobHubWrap::unrecord>("unrecord"),
                         InstanceMethod<&JobHubWrap::flush>("flush"),
                         InstanceMethod<&JobHubWrap::follow>("follow"),
                         InstanceMethod<&JobHubWrap::purge>("purge"),
                         InstanceMethod<&JobHubWrap::state>("state"),
                         InstanceMethod<&JobHubWrap::attach>("attach"),
                         InstanceMethod<&JobHubWrap::adopt>("adopt"),
                         InstanceMethod<&JobHubWrap::reclaim>("reclaim"),
                         InstanceMethod<&JobHubWrap::acknowledge>("acknowledge"),
                         InstanceMethod<&JobHubWrap::detach>("detach"),
                         InstanceMethod<&JobHubWrap::relay>("relay"),
                         InstanceMethod<&JobHubWrap::relay_fed>("relayFed"),
                         InstanceMethod<&JobHubWrap::feed_head>("feedHead"),
                         InstanceMethod<&JobHubWrap::feed_bytes>("feedBytes"),
                         InstanceMethod<&JobHubWrap::feed_end>("feedEnd"),
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
  reactor_->executor().post([executor = &reactor_->executor(), hub = hub_, reactor = reactor_,
                             store = StoreWrap::store_of(info, 3)](Nanos) {
    if (store) hub->record_to(std::make_unique<StoreJournal>(store, reactor, hub));
    executor->add(hub);
  });
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
  options.kind = kind_from(text_from(info.Env(), given("kind")));
  options.record = count_from(info.Env(), given("record"));
  options.feeds = count_from(info.Env(), given("feeds"));
  options.feed_members = text_from(info.Env(), given("feedMembers"));
  // Negative: the hub's own.
  if (const double retention_ms = number_from(info.Env(), given("retentionMs"));
      retention_ms >= 0) {
    options.retention = nanos_from_ms(retention_ms);
  }
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

void JobHubWrap::append_typed(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, job = count_from(info.Env(), info[0]), type = text_from(info.Env(), info[1]),
       data = text_from(info.Env(), info[2])](Nanos) { hub->hub.append_typed(job, type, data); });
}

void JobHubWrap::reopen(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, job = count_from(info.Env(), info[0])](Nanos now) {
    hub->hub.reopen(job, now);
  });
}

void JobHubWrap::finish(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, job = count_from(info.Env(), info[0]),
                             terminal = terminal_from(info.Env(), info[1])](Nanos now) {
    hub->hub.finish(job, terminal, now);
  });
}

void JobHubWrap::restore(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  const auto given = [&info](const char* name) { return member_of(info.Env(), info[1], name); };
  const auto ms = [&](const char* name) {
    return nanos_from_ms(number_from(info.Env(), given(name)));
  };
  JobOptions options;
  options.job_id = text_from(info.Env(), given("jobId"));
  options.record = count_from(info.Env(), given("record"));
  options.prompt_tokens = count_from(info.Env(), given("promptTokens"));
  options.cancel_on_disconnect = false;
  options.wall_time_max = kNever;
  RestoredJob restored;
  restored.attempt = count_from(info.Env(), given("attempt"));
  restored.skipped_ids = count_from(info.Env(), given("skippedIds"));
  restored.age = ms("ageMs");
  restored.retention_left = ms("retentionLeftMs");
  restored.spans = {.started = span_from(info.Env(), given("startedNs")),
                    .first_token = span_from(info.Env(), given("firstTokenNs")),
                    .ended = span_from(info.Env(), given("endedNs"))};
  restored.tokens = tokens_from(info.Env(), given("tokens"));
  if (napi_value terminal = given("terminal"); is_object(info.Env(), terminal)) {
    restored.terminal = terminal_from(info.Env(), terminal);
  }
  reactor_->executor().post([hub = hub_, job = count_from(info.Env(), info[0]),
                             options = std::move(options), restored = std::move(restored)](
                                Nanos now) { hub->hub.restore(job, options, restored, now); });
}

void JobHubWrap::unrecord(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, job = count_from(info.Env(), info[0])](Nanos now) {
    hub->hub.unrecord(job, now);
  });
}

void JobHubWrap::flush(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, request = number_from(info.Env(), info[0])](Nanos) { hub->flush(request); });
}

void JobHubWrap::follow(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, job = count_from(info.Env(), info[0]),
                             leader = count_from(info.Env(), info[1]),
                             request = number_from(info.Env(), info[2])](Nanos now) {
    hub->reply(request, hub->hub.follow(job, leader, now) ? "true" : "false");
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
    hub->state(job, with_text, request, now);
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
    reactor_->executor().post([hub = hub_, channel = count_from(info.Env(), info[0]), owned,
                               sole = flag_from(info.Env(), info[2])](Nanos now) {
      hub->adopt(channel, std::move(*owned), sole, now);
    });
  }
  return Napi::Boolean::New(info.Env(), adopted);
}

Napi::Value JobHubWrap::reclaim(const Napi::CallbackInfo& info) {
  UniqueFd fd = hub_ ? hub_->reclaim(count_from(info.Env(), info[0])) : UniqueFd();
  return Napi::Number::New(info.Env(), fd.release());
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
  reactor_->executor().post(
      [hub = hub_, call = count_from(info.Env(), info[0]), request = std::move(request),
       options = relay_options(info)](Nanos now) { hub->relay(call, request, options, now); });
}

void JobHubWrap::relay_fed(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post(
      [hub = hub_, call = count_from(info.Env(), info[0]),
       options = relay_options(info)](Nanos now) { hub->relay_fed(call, options, now); });
}

void JobHubWrap::feed_head(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  const auto text = [&info](std::size_t at) { return text_from(info.Env(), info[at]); };
  UpstreamHead head{.status = static_cast<int>(number_from(info.Env(), info[1])),
                    .content_type = text(2),
                    .retry_after = text(3),
                    .retry_after_ms = text(4),
                    .location = text(5),
                    .content_encoding = text(6)};
  reactor_->executor().post(
      [hub = hub_, call = count_from(info.Env(), info[0]), head = std::move(head)](Nanos now) {
        hub->feed_head(call, head, now);
      });
}

void JobHubWrap::feed_bytes(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  reactor_->executor().post([hub = hub_, call = count_from(info.Env(), info[0]),
                             bytes = std::string(bytes_from(info.Env(), info[1]))](Nanos now) {
    hub->feed_bytes(call, bytes, now);
  });
}

void JobHubWrap::feed_end(const Napi::CallbackInfo& info) {
  if (!hub_) return;
  UpstreamEnd end;
  end.kind = static_cast<UpstreamEnd::Kind>(number_from(info.Env(), info[1]));
  end.name = text_from(info.Env(), info[2]);
  reactor_->executor().post([hub = hub_, call = count_from(info.Env(), info[0]),
                             end = std::move(end)](Nanos now) { hub->feed_end(call, end, now); });
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
