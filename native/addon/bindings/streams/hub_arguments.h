// The structures of a hub's commands, as lib/streams/hub.js passes them.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "addon/napi/method.h"
#include "core/streams/hub.h"
#include "core/upstream/relay.h"
#include "runtime/upstream/transfer.h"

namespace sluice {

/// `{streamCapacity, logBytesMax, retentionMs, heartbeatMs, stallMs, retryMs}`
template <>
struct FromJs<HubOptions> {
  static HubOptions read(napi_env env, napi_value value);
};

/// The numbers of a job that only has these options besides its id.
struct PlainNumbers {
  double flags;
  double disconnect_grace_ms;
  double max_wall_ms;
  double prompt_tokens;
  double retention_ms;  ///< negative: the hub's
};

JobOptions plain_options(std::string job_id, const PlainNumbers& numbers);

/// `[jobId, kind, flags, disconnectGraceMs, maxWallMs, promptTokens, retentionMs, record, copyTo,
/// copyMembers]`; a negative `retentionMs` means the hub's. An array, because each look-up of a
/// name makes a string of it.
template <>
struct FromJs<JobOptions> {
  static JobOptions read(napi_env env, napi_value value);
};

/// `[promptTokens, completionTokens, estimated, json]`; `json` is the whole object, or empty.
template <>
struct FromJs<Usage> {
  static Usage read(napi_env env, napi_value value);
};

/// `[type, reason, rawReason, empty, details, usage]`, or of an error `[type, code, message, type,
/// details, usage]`; `details` is JSON.
template <>
struct FromJs<Terminal> {
  static Terminal read(napi_env env, napi_value value);
};

constexpr std::size_t kTerminalPlaces = 6;

/// A Terminal from these elements, each an argument of its own.
Terminal terminal_from(napi_env env, const std::array<napi_value, kTerminalPlaces>& given);

/// `{attempt, skippedIds, ageMs, retentionLeftMs, startedNs, firstTokenNs, endedNs, tokens, head,
/// retryMembers, terminal}`; `retryMembers` is JSON, `head` is `{model, system_fingerprint,
/// service_tier}`, `tokens` has rows of the data file, the three times may be null.
template <>
struct FromJs<RestoredJob> {
  static RestoredJob read(napi_env env, napi_value value);
};

/// `{handle, cursor}`
template <>
struct FromJs<JobHub::Cursor> {
  static JobHub::Cursor read(napi_env env, napi_value value);
};

/// `'events'`, `'observe'` or `'frames'`
template <>
struct FromJs<Subscriber::Mode> {
  static Subscriber::Mode read(napi_env env, napi_value value);
};

/// `{url, headers, body}`
template <>
struct FromJs<UpstreamRequest> {
  static UpstreamRequest read(napi_env env, napi_value value);
};

/// `{idleMs, jobs}`: the jobs by the upstream's index of the answer.
template <>
struct FromJs<Relay::Options> {
  static Relay::Options read(napi_env env, napi_value value);
};

/// `{status, contentType, retryAfter, retryAfterMs}`; absent headers are empty or undefined.
template <>
struct FromJs<UpstreamHead> {
  static UpstreamHead read(napi_env env, napi_value value);
};

/// `{kind, name}`: `'whole'`, `'broken'`, `'protocol'` or `'silent'`, and the name of the error.
template <>
struct FromJs<UpstreamEnd> {
  static UpstreamEnd read(napi_env env, napi_value value);
};

}  // namespace sluice
