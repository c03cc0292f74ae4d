// Values and pages of the key-value store, as passed from and to JavaScript. JavaScript's thread
// only.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "addon/napi/conversions.h"
#include "core/kv/entry.h"
#include "core/kv/snapshot.h"
#include "core/kv/store.h"

namespace sluice {

/// A time to live in milliseconds; Infinity is kNever, a negative one kKeepEnd.
struct TimeToLive {
  Nanos value = kNever;
};

template <>
struct FromJs<TimeToLive> {
  static TimeToLive read(napi_env env, napi_value value);
};

/// The version that a condition expects; kAnyVersion for a negative number.
struct ExpectedVersion {
  KvVersion value = kAnyVersion;
};

template <>
struct FromJs<ExpectedVersion> {
  static ExpectedVersion read(napi_env env, napi_value value);
};

/// A copy of a change, valid after the observer returns.
struct KvOwnedChange {
  explicit KvOwnedChange(const KvChange& change)
      : type(change.kind),
        version(change.version),
        key(change.key),
        value{std::string(change.value), change.value_kind},
        last_alive(change.last_alive) {}

  KvChange::Kind type;
  KvVersion version;
  std::string key;
  KvValue value;
  Nanos last_alive;
};

/// A value from a string or a Uint8Array, copied, and its kind. The kind, defined by
/// lib/primitives/kv/values.js, determines whether the bytes are text (below kFirstBinaryKind) or a
/// Buffer.
KvValue kv_value_from(napi_env env, napi_value value, std::uint8_t kind);

/// A scan, from an array [limit, reverse, keysOnly, prefix, start, end, after], where the last four
/// may be undefined.
struct KvScanRequest {
  KvRange range;
  std::size_t limit = 0;
  KvOrder order = KvOrder::kAscending;
  bool keys_only = false;
};

template <>
struct FromJs<KvScanRequest> {
  static KvScanRequest read(napi_env env, napi_value value);
};

/// [value, kind, version, expiresAtMs], or undefined when there is no entry. Infinity: no expiry.
template <>
struct ToJs<KvEntryRef> {
  static napi_value make(napi_env env, const KvEntryRef& entry);
};

/// An entry without its value.
struct KvHead {
  KvEntryRef entry;
};

/// [bytes of the value, version, expiresAtMs], or undefined when there is no entry.
template <>
struct ToJs<KvHead> {
  static napi_value make(napi_env env, const KvHead& head);
};

/// The page that a scan asked for.
struct KvScanned {
  KvPage page;
  bool keys_only = false;
};

/// [more, key, version, value, kind, key, version, ...]; without values and kinds for `keys_only`.
template <>
struct ToJs<KvScanned> {
  static napi_value make(napi_env env, const KvScanned& scanned);
};

/// Runs a scan of a snapshot, or at `now` of a store or a transaction.
template <typename Source, typename... Now>
KvScanned kv_scan(Source& source, const KvScanRequest& asked, Now... now) {
  return {source.scan(asked.range, asked.limit, now..., asked.order), asked.keys_only};
}

/// [type, version, key, value, kind, expiresAtMs, type, ...], types as the numbers of
/// KvChange::Kind; value and kind are undefined unless set.
napi_value kv_changes_for_js(napi_env env, const std::vector<KvOwnedChange>& changes);

/// The new version; 0: nothing changed; -1 - status: failed.
template <>
struct ToJs<KvResult> {
  static napi_value make(napi_env env, const KvResult& result);
};

}  // namespace sluice
