// Values and pages of the key-value store, as they cross from and to JavaScript. JavaScript's
// thread only.
//
// A value's kind, which lib/primitives/kv/values.js gives it, says whether its bytes are text
// (below kFirstBinaryKind) or a Buffer's.
#pragma once

#include <napi.h>

#include <cstddef>

#include "addon/napi/arguments.h"
#include "addon/napi/reactor_wrap.h"
#include "core/kv/entry.h"
#include "core/kv/snapshot.h"
#include "core/kv/store.h"

namespace sluice {

/// The time or span that an argument gives in milliseconds; Infinity is kNever.
inline Nanos nanos_at(const Napi::CallbackInfo& info, std::size_t index) {
  return nanos_from_ms(number_from(info.Env(), info[index]));
}

/// A value from a string or a Uint8Array, copied, and its kind.
KvValue kv_value_from(napi_env env, napi_value value, napi_value kind);

/// A version; kAnyVersion for a negative number.
KvVersion kv_version_from(napi_env env, napi_value value);

/// A range from [prefix, start, end, after], where all but the first may be undefined.
KvRange kv_range_from(const Napi::CallbackInfo& info, std::size_t first);

/// [value, kind, version, expiresAtMs], or undefined when there is no entry. Infinity: no end.
Napi::Value kv_entry_for_js(napi_env env, const KvEntryRef& entry);
/// [bytes of the value, version, last alive in ms], without the value; undefined for no entry.
Napi::Value kv_head_for_js(napi_env env, const KvEntryRef& entry);

/// [more, key, value, kind, version, key, value, ...].
Napi::Value kv_page_for_js(napi_env env, const KvPage& page);

/// The new version, 0 where nothing changed; -1 - status where it failed.
Napi::Value kv_result_for_js(napi_env env, const KvResult& result);

}  // namespace sluice
