// Values and pages of the key-value store, as passed from and to JavaScript. JavaScript's thread
// only.
#pragma once

#include <napi.h>

#include <cstddef>
#include <string>
#include <vector>

#include "addon/napi/arguments.h"
#include "addon/napi/reactor_wrap.h"
#include "core/kv/entry.h"
#include "core/kv/snapshot.h"
#include "core/kv/store.h"

namespace sluice {

/// A time to live in milliseconds; Infinity is kNever, a negative one kKeepEnd.
inline Nanos ttl_at(const Napi::CallbackInfo& info, std::size_t index) {
  const double ms = number_from(info.Env(), info[index]);
  return ms < 0 ? kKeepEnd : nanos_from_ms(ms);
}

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
KvValue kv_value_from(napi_env env, napi_value value, napi_value kind);

/// A version; kAnyVersion for a negative number.
KvVersion kv_version_from(napi_env env, napi_value value);

/// The arguments of a scan: [limit, reverse, keysOnly, prefix, start, end, after], where the last
/// four may be undefined.
struct KvScanRequest {
  KvRange range;
  std::size_t limit = 0;
  KvOrder order = KvOrder::kAscending;
  bool keys_only = false;
};
KvScanRequest kv_scan_from(const Napi::CallbackInfo& info, std::size_t first);

/// [value, kind, version, expiresAtMs], or undefined when there is no entry. Infinity: no end.
Napi::Value kv_entry_for_js(napi_env env, const KvEntryRef& entry);
/// [bytes of the value, version, last alive in ms], without the value; undefined for no entry.
Napi::Value kv_head_for_js(napi_env env, const KvEntryRef& entry);

/// [more, key, version, value, kind, key, version, ...]; without values and kinds for `keys_only`.
Napi::Value kv_page_for_js(napi_env env, const KvPage& page, bool keys_only);

/// [type, version, key, value, kind, expiresAtMs, type, ...], types as the numbers of
/// KvChange::Kind; value and kind are undefined unless set.
Napi::Value kv_changes_for_js(napi_env env, const std::vector<KvOwnedChange>& changes);

/// The new version; 0: nothing changed; -1 - status: failed.
Napi::Value kv_result_for_js(napi_env env, const KvResult& result);

}  // namespace sluice
