#include "addon/bindings/streams/hub_arguments.h"

#include <string_view>

#include "runtime/storage/job_journal.h"

namespace sluice {

namespace {

JobKind kind_from(std::string_view name) {
  if (name == "workflow") return JobKind::kWorkflow;
  return name == "crawl" ? JobKind::kCrawl : JobKind::kJob;
}

// Nanoseconds of a row; NULL means that the event has not happened.
Nanos span_from(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value == nullptr || napi_typeof(env, value, &type) != napi_ok || type != napi_number) {
    return kNever;
  }
  return static_cast<Nanos>(number_from(env, value));
}

// Rows of tokens: seq, count, text, ends, kinds, aux; the last two may be NULL.
TokenRun tokens_from(napi_env env, napi_value rows) {
  TokenRun run;
  for (napi_value row : elements_of(env, rows)) {
    const std::vector<napi_value> columns = elements_of(env, row);
    if (columns.size() != 6) break;
    const TokenRow tokens{.seq = static_cast<std::int64_t>(number_from(env, columns[0])),
                          .text = bytes_from(env, columns[2]),
                          .ends = bytes_from(env, columns[3]),
                          .kinds = bytes_from(env, columns[4]),
                          .aux = bytes_from(env, columns[5])};
    // The positions of rows behind one that does not fit are unknown.
    if (!append_run(run, tokens)) break;
  }
  return run;
}

// The flags of a job's options, as lib/streams/job-options.js has them.
constexpr std::uint64_t kCancel = 1;
constexpr std::uint64_t kWhole = 2;
constexpr std::uint64_t kAnnounce = 4;
constexpr std::uint64_t kSettles = 8;
constexpr std::uint64_t kSettlesAnswer = 16;

UpstreamEnd::Kind end_kind_from(std::string_view name) {
  if (name == "whole") return UpstreamEnd::Kind::kWhole;
  if (name == "protocol") return UpstreamEnd::Kind::kProtocol;
  return name == "silent" ? UpstreamEnd::Kind::kSilent : UpstreamEnd::Kind::kBroken;
}

}  // namespace

JobOptions plain_options(std::string job_id, const PlainNumbers& numbers) {
  JobOptions options;
  options.job_id = std::move(job_id);
  const auto flags = static_cast<std::uint64_t>(numbers.flags);
  options.cancel_on_disconnect = (flags & kCancel) != 0;
  options.whole = (flags & kWhole) != 0;
  options.announce = (flags & kAnnounce) != 0;
  options.settles = (flags & kSettles) != 0;
  options.settles_answer = (flags & kSettlesAnswer) != 0;
  options.disconnect_grace = nanos_from_ms(numbers.disconnect_grace_ms);
  options.wall_time_max = nanos_from_ms(numbers.max_wall_ms);
  options.prompt_tokens = static_cast<std::uint64_t>(numbers.prompt_tokens);
  if (numbers.retention_ms >= 0) options.retention = nanos_from_ms(numbers.retention_ms);
  return options;
}

HubOptions FromJs<HubOptions>::read(napi_env env, napi_value value) {
  const Members given(env, value);
  HubOptions options;
  options.stream_capacity = given.get<std::uint64_t>("streamCapacity");
  options.log_bytes_max = given.get<std::size_t>("logBytesMax");
  options.retention = given.get<Nanos>("retentionMs");
  options.heartbeat = given.get<Nanos>("heartbeatMs");
  options.stall = given.get<Nanos>("stallMs");
  options.retry_ms = given.get<std::uint64_t>("retryMs");
  return options;
}

JobOptions FromJs<JobOptions>::read(napi_env env, napi_value value) {
  const Places given(env, value);
  JobOptions options = plain_options(
      given.get<std::string>(0), {given.get<double>(2), given.get<double>(3), given.get<double>(4),
                                  given.get<double>(5), given.get<double>(6)});
  options.kind = kind_from(given.get<std::string>(1));
  options.record = given.get<std::uint64_t>(7);
  options.copy_to = given.get<JobHandle>(8);
  options.copy_members = given.get<std::string>(9);
  return options;
}

Usage FromJs<Usage>::read(napi_env env, napi_value value) {
  const Places given(env, value);
  return {.prompt_tokens = given.get<std::uint64_t>(0),
          .completion_tokens = given.get<std::uint64_t>(1),
          .estimated = given.get<bool>(2),
          .raw = given.get<std::string>(3)};
}

Terminal FromJs<Terminal>::read(napi_env env, napi_value value) {
  const Places given(env, value);
  return terminal_from(env, {given.value(0), given.value(1), given.value(2), given.value(3),
                             given.value(4), given.value(5)});
}

Terminal terminal_from(napi_env env, const std::array<napi_value, kTerminalPlaces>& given) {
  Terminal terminal;
  const std::string type = text_from(env, given[0]);
  if (type == "error") {
    terminal.kind = Terminal::Kind::kError;
    terminal.error_code = text_from(env, given[1]);
    terminal.error_message = text_from(env, given[2]);
    terminal.error_type = text_from(env, given[3]);
  } else {
    terminal.kind = type == "complete" ? Terminal::Kind::kComplete : Terminal::Kind::kCancelled;
    terminal.reason = text_from(env, given[1]);
    terminal.raw_reason = text_from(env, given[2]);
  }
  terminal.details = text_from(env, given[4]);
  if (is_object(env, given[5])) terminal.usage = FromJs<Usage>::read(env, given[5]);
  return terminal;
}

RestoredJob FromJs<RestoredJob>::read(napi_env env, napi_value value) {
  const Members given(env, value);
  RestoredJob restored;
  restored.attempt = given.get<std::uint64_t>("attempt");
  restored.skipped_ids = given.get<std::uint64_t>("skippedIds");
  restored.age = given.get<Nanos>("ageMs");
  restored.retention_left = given.get<Nanos>("retentionLeftMs");
  restored.spans = {.started = span_from(env, given.value("startedNs")),
                    .first_token = span_from(env, given.value("firstTokenNs")),
                    .ended = span_from(env, given.value("endedNs"))};
  restored.tokens = tokens_from(env, given.value("tokens"));
  restored.retry_members = given.get<std::string>("retryMembers");
  if (napi_value value_of_head = given.value("head"); is_object(env, value_of_head)) {
    const Members head(env, value_of_head);
    restored.head = {.model = head.get<std::string>("model"),
                     .system_fingerprint = head.get<std::string>("system_fingerprint"),
                     .service_tier = head.get<std::string>("service_tier")};
  }
  if (is_object(env, given.value("terminal"))) restored.terminal = given.get<Terminal>("terminal");
  return restored;
}

JobHub::Cursor FromJs<JobHub::Cursor>::read(napi_env env, napi_value value) {
  const Members given(env, value);
  return {given.get<JobHandle>("handle"), given.get<std::string>("cursor")};
}

Subscriber::Mode FromJs<Subscriber::Mode>::read(napi_env env, napi_value value) {
  const std::string mode = text_from(env, value);
  if (mode == "observe") return Subscriber::Mode::kObserve;
  return mode == "events" ? Subscriber::Mode::kEvents : Subscriber::Mode::kFrames;
}

UpstreamRequest FromJs<UpstreamRequest>::read(napi_env env, napi_value value) {
  const Members given(env, value);
  UpstreamRequest request;
  request.url = given.get<std::string>("url");
  request.body = given.get<std::string>("body");
  for (napi_value header : elements_of(env, given.value("headers"))) {
    request.headers.push_back(latin1_from(env, header));
  }
  return request;
}

Relay::Options FromJs<Relay::Options>::read(napi_env env, napi_value value) {
  const Members given(env, value);
  Relay::Options options{.idle = given.get<Nanos>("idleMs"),
                         .jobs = given.get<std::vector<JobHandle>>("jobs"),
                         .one_answer = given.get<bool>("oneAnswer")};
  for (napi_value stop : elements_of(env, given.value("stops"))) {
    options.stops.push_back(text_from(env, stop));
  }
  return options;
}

UpstreamHead FromJs<UpstreamHead>::read(napi_env env, napi_value value) {
  const Members given(env, value);
  return {.status = static_cast<int>(given.get<double>("status")),
          .content_type = given.get<std::string>("contentType"),
          .retry_after = given.get<std::string>("retryAfter"),
          .retry_after_ms = given.get<std::string>("retryAfterMs"),
          .location = given.get<std::string>("location"),
          .content_encoding = given.get<std::string>("contentEncoding")};
}

UpstreamEnd FromJs<UpstreamEnd>::read(napi_env env, napi_value value) {
  const Members given(env, value);
  UpstreamEnd end;
  end.kind = end_kind_from(given.get<std::string>("kind"));
  end.name = given.get<std::string>("name");
  return end;
}

}  // namespace sluice
