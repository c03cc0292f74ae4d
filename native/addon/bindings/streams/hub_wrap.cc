#include "addon/bindings/streams/hub_wrap.h"

#include <algorithm>
#include <string>
#include <utility>

#include "addon/bindings/storage/store_wrap.h"
#include "addon/bindings/streams/face_arguments.h"
#include "addon/bindings/streams/hub_arguments.h"
#include "addon/bindings/streams/redis_log.h"
#include "addon/bindings/streams/store_journal.h"
#include "addon/napi/arguments.h"

namespace sluice {

namespace {

/// Tokens that a log has trimmed and its stream in Redis still has.
constexpr std::uint64_t kTrimStep = 256;

}  // namespace

Napi::Function JobHubWrap::define(Napi::Env env) {
  return DefineClass(env, "JobHub",
                     {
                         method<&JobHub::create>("create"),
                         method<&JobHub::restore>("restore"),
                         method<&JobHub::unrecord>("unrecord"),
                         method<&JobHub::write_anew>("writeAnew"),
                         method<&JobHub::start>("start"),
                         method<&JobHub::retry>("retry"),
                         method<&JobHub::append_typed>("appendTyped"),
                         method<&JobHub::reopen>("reopen"),
                         method<&JobHub::finish>("finish"),
                         method<&JobHub::settle>("settle"),
                         method<&JobHub::fence>("fence"),
                         method<&JobHub::hold>("hold"),
                         method<&JobHub::release>("release"),
                         method<&HubBridge::replicate>("replicate"),
                         method<&HubBridge::adopt>("adopt"),
                         method<&HubBridge::replication>("replication"),
                         method<&HubBridge::follow>("follow"),
                         method<&HubBridge::state>("state"),
                         method<&HubBridge::readers>("readers"),
                         method<&HubBridge::whole_answer>("wholeAnswer"),
                         method<&HubBridge::flush>("flush"),
                         method<&HubBridge::attach>("attach"),
                         method<&HubBridge::detach>("detach"),
                         method<&HubBridge::relay>("relay"),
                         method<&HubBridge::relay_fed>("relayFed"),
                         method<&HubBridge::feed_head>("feedHead"),
                         method<&HubBridge::feed_bytes>("feedBytes"),
                         method<&HubBridge::feed_end>("feedEnd"),
                         method<&HubBridge::abort_relay>("abortRelay"),
                         InstanceMethod<&JobHubWrap::append>("append"),
                         InstanceMethod<&JobHubWrap::append>("appendTo"),
                         InstanceMethod<&JobHubWrap::complete>("complete"),
                         InstanceMethod<&JobHubWrap::purge>("purge"),
                         InstanceMethod<&JobHubWrap::acknowledge>("acknowledge"),
                         InstanceMethod<&JobHubWrap::attach_socket>("attachSocket"),
                         InstanceMethod<&JobHubWrap::detach_socket>("detachSocket"),
                         InstanceMethod<&JobHubWrap::log_bytes>("logBytes"),
                         InstanceMethod<&JobHubWrap::entries_appended>("entriesAppended"),
                         InstanceMethod<&JobHubWrap::close>("close"),
                     });
}

JobHubWrap::JobHubWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const napi_env env = info.Env();
  const std::vector<napi_value> reactors = elements_of(env, info[0]);
  const auto machine_ids = FromJs<std::vector<double>>::read(env, info[1]);
  const HubOptions options = FromJs<HubOptions>::read(env, info[2]);
  const std::shared_ptr<SqliteStore> store = StoreWrap::store_of(env, info[3]);
  for (std::size_t i = 0; i < reactors.size() && i < machine_ids.size(); ++i) {
    auto reactor = ReactorWrap::handle_of(env, reactors[i]);
    auto bridge = std::make_shared<HubBridge>(options, reactor->events, machine_ids[i],
                                              reactor->reactor.get());
    hubs_.push_back({reactor, bridge});
    if (store) {
      hubs_.back().post([reactor, store, self = std::weak_ptr(bridge)](HubBridge& hub, Nanos) {
        hub.record_to(std::make_unique<StoreJournal>(store, reactor, self));
      });
    }
    hubs_.back().add();
  }
  link_ = RedisLinkWrap::port_of(info, 4);
  if (link_.port) use_link(FromJs<Nanos>::read(env, info[5]));
}

// Jobs of every hub are written over the link; replicas live on the link's reactor.
void JobHubWrap::use_link(Nanos pace) {
  Executor* const executor = &link_.reactor->executor();
  for (const CommandTarget<HubBridge>& hub : hubs_) {
    auto log = std::make_shared<RedisLog>(link_, hub.reactor, hub.machine);
    logs_.push_back(log);
    executor->post([executor, log](Nanos) {
      log->start();
      executor->add(log);
    });
    hub.post([link = link_.reactor, log, pace](HubBridge& bridge, Nanos) {
      bridge.record_to(
          std::make_unique<LinkJournal>(link, log),
          {.interval = pace, .retry_delay = HubJournal::kRetryDelay, .trim_step = kTrimStep});
    });
    if (hub.reactor != link_.reactor) continue;
    hub.post([port = link_.port](HubBridge& bridge, Nanos) { bridge.follow_over(port); });
  }
}

JobHubWrap::~JobHubWrap() {
  shut();
}

void JobHubWrap::shut() {
  for (const std::shared_ptr<RedisLog>& log : std::exchange(logs_, {})) {
    Executor* const executor = &link_.reactor->executor();
    executor->post([executor, log](Nanos) { executor->remove(log.get()); });
  }
  link_ = {};
  for (CommandTarget<HubBridge>& hub : hubs_) hub.remove();
  hubs_.clear();
}

// One command for each reactor with the numbers of its jobs or subscribers, from the first
// argument; it calls `each(bridge, number, now)`.
template <typename Each>
void JobHubWrap::post_groups(const Napi::CallbackInfo& info, Each each) {
  std::vector<std::vector<std::uint64_t>> groups(hubs_.size());
  for (napi_value value : elements_of(info.Env(), info[0])) {
    const std::uint64_t number = count_from(info.Env(), value);
    if (!hubs_.empty()) groups[number % hubs_.size()].push_back(number);
  }
  for (std::size_t i = 0; i < hubs_.size(); ++i) {
    if (groups[i].empty()) continue;
    hubs_[i].post([numbers = std::move(groups[i]), each](HubBridge& bridge, Nanos now) {
      for (const std::uint64_t number : numbers) each(bridge, number, now);
    });
  }
}

// append([job...], [text...], [kind...], [aux...]): the entries of all jobs in one turn of the
// event loop, with one command for each reactor. Without `kind` and `aux` all are plain text.
// appendTo(job, [text...], [kind...], [aux...]): the same for entries of one job.
void JobHubWrap::append(const Napi::CallbackInfo& info) {
  struct OwnedEntry {
    JobHandle job;
    std::string text;
    EntryKind kind = EntryKind::kText;
    std::string aux = {};
  };
  const napi_env env = info.Env();
  const bool is_one_job = info[0].IsNumber();
  const JobHandle only_job = is_one_job ? count_from(env, info[0]) : 0;
  const std::vector<napi_value> jobs =
      is_one_job ? std::vector<napi_value>{} : elements_of(env, info[0]);
  const std::vector<napi_value> texts = elements_of(env, info[1]);
  const std::vector<napi_value> kinds = elements_of(env, info[2]);
  const std::vector<napi_value> auxes = elements_of(env, info[3]);
  std::vector<std::vector<OwnedEntry>> entries(hubs_.size());
  const std::size_t count = is_one_job ? texts.size() : std::min(jobs.size(), texts.size());
  for (std::size_t i = 0; i < count && !hubs_.empty(); ++i) {
    const JobHandle job = is_one_job ? only_job : count_from(env, jobs[i]);
    OwnedEntry entry{.job = job, .text = text_from(env, texts[i])};
    if (i < kinds.size()) {
      const std::uint64_t kind = count_from(env, kinds[i]);
      if (kind > static_cast<std::uint64_t>(EntryKind::kExtra)) continue;
      entry.kind = static_cast<EntryKind>(kind);
    }
    if (i < auxes.size()) entry.aux = text_from(env, auxes[i]);
    entries[job % hubs_.size()].push_back(std::move(entry));
  }
  for (std::size_t i = 0; i < hubs_.size(); ++i) {
    if (entries[i].empty()) continue;
    hubs_[i].post([entries = std::move(entries[i])](HubBridge& bridge, Nanos now) {
      for (const OwnedEntry& each : entries) {
        bridge.hub.append(each.job, {.kind = each.kind, .text = each.text, .aux = each.aux}, now);
      }
    });
  }
}

// complete(job, numbers, jobId, ...terminal, ...texts): a job that has begun and ended before its
// reactor gets it. `numbers` is a Float64Array: flags, disconnectGraceMs, maxWallMs, promptTokens,
// retentionMs as in its options, then the milliseconds since its creation, its start and its first
// token, which are negative without one. Arguments, because each look-up of an element takes as
// long as a small command. Gives [state, frames] as the event of the end of a job has them; nothing
// once the hub is closed.
Napi::Value JobHubWrap::complete(const Napi::CallbackInfo& info) {
  constexpr std::size_t kTerminal = 3;
  constexpr std::size_t kTexts = kTerminal + kTerminalPlaces;
  constexpr std::size_t kNumbers = 8;
  /// The log of the job counts in its hub.
  struct Transfer {
    std::shared_ptr<HubBridge> bridge;
    std::unique_ptr<Job> job;
  };
  const napi_env env = info.Env();
  const JobHandle handle = count_from(env, info[0]);
  const CommandTarget<HubBridge> hub = target(handle);
  const auto numbers = span_from<double>(env, info[1], napi_float64_array);
  if (!hub.machine || numbers.size() < kNumbers) return info.Env().Undefined();
  const Nanos now = Reactor::now();
  const auto ago = [&](double ms) { return ms < 0 ? kNever : now - nanos_from_ms(ms); };
  std::array<napi_value, kTerminalPlaces> terminal{};
  for (std::size_t i = 0; i < kTerminalPlaces; ++i) terminal[i] = info[kTerminal + i];
  EndedJob ended{
      .handle = handle,
      .options = plain_options(text_from(env, info[2]),
                               {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]}),
      .created_at = ago(numbers[5]),
      .started_at = ago(numbers[6]),
      .first_token_at = ago(numbers[7]),
      .terminal = terminal_from(env, terminal)};
  ended.tokens.reserve(info.Length() - std::min(info.Length(), kTexts));
  for (std::size_t i = kTexts; i < info.Length(); ++i) {
    ended.tokens.push_back(text_from(env, info[i]));
  }
  JobHub::Made made = hub.machine->hub.make_ended(std::move(ended), now);
  // Commands are copyable, jobs are not.
  auto transfer = std::make_shared<Transfer>(hub.machine, std::move(made.job));
  hub.post(
      [transfer](HubBridge& bridge, Nanos) { bridge.hub.add_ended(std::move(transfer->job)); });
  return {env, tuple_of(env, made.state, made.frames)};
}

// purge([job...])
void JobHubWrap::purge(const Napi::CallbackInfo& info) {
  post_groups(info,
              [](HubBridge& bridge, JobHandle job, Nanos now) { bridge.hub.purge(job, now); });
}

// logBytes() gives the bytes that the logs of all hubs hold.
Napi::Value JobHubWrap::log_bytes(const Napi::CallbackInfo& info) {
  std::int64_t bytes = 0;
  for (const CommandTarget<HubBridge>& hub : hubs_) bytes += hub.machine->hub.log_bytes();
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}

// entriesAppended() gives the entries that producers have appended, over all time.
Napi::Value JobHubWrap::entries_appended(const Napi::CallbackInfo& info) {
  std::uint64_t entries = 0;
  for (const CommandTarget<HubBridge>& hub : hubs_) entries += hub.machine->hub.entries_appended();
  return Napi::Number::New(info.Env(), static_cast<double>(entries));
}

// acknowledge([subscriber...])
void JobHubWrap::acknowledge(const Napi::CallbackInfo& info) {
  post_groups(info, [](HubBridge& bridge, SubscriberHandle subscriber, Nanos now) {
    bridge.hub.acknowledge(subscriber, now);
  });
}

// attachSocket(subscriber, fd, sole, head) gives false where the reactor cannot write to sockets.
Napi::Value JobHubWrap::attach_socket(const Napi::CallbackInfo& info) {
  const SubscriberHandle subscriber = count_from(info.Env(), info[0]);
  const CommandTarget<HubBridge> hub = target(subscriber);
  const bool has_loop = hub.machine && hub.reactor->reactor;
  const int fd = static_cast<int>(number_from(info.Env(), info[1]));
  UniqueFd copy = has_loop ? UniqueFd::duplicate_of(fd) : UniqueFd();
  const bool attached = copy.valid();
  if (attached) {
    // Commands are copyable, descriptors are not.
    auto owned = std::make_shared<UniqueFd>(std::move(copy));
    hub.post([subscriber, owned, sole = flag_from(info.Env(), info[2]),
              head = latin1_from(info.Env(), info[3])](HubBridge& bridge, Nanos now) mutable {
      bridge.attach_socket(subscriber, std::move(*owned), sole, std::move(head), now);
    });
  }
  return Napi::Boolean::New(info.Env(), attached);
}

// detachSocket(subscriber) gives the descriptor, -1 for none.
Napi::Value JobHubWrap::detach_socket(const Napi::CallbackInfo& info) {
  const SubscriberHandle subscriber = count_from(info.Env(), info[0]);
  const CommandTarget<HubBridge> hub = target(subscriber);
  UniqueFd fd = hub.machine ? hub.machine->detach_socket(subscriber) : UniqueFd();
  return Napi::Number::New(info.Env(), fd.release());
}

void JobHubWrap::close(const Napi::CallbackInfo& /*info*/) {
  shut();
}

}  // namespace sluice
