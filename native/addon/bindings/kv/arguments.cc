#include "addon/bindings/kv/arguments.h"

#include <optional>
#include <string>
#include <vector>

namespace sluice {
namespace {

constexpr std::uint8_t kFirstBinaryKind = 2;

napi_value value_for_js(napi_env env, const KvValue& value) {
  if (value.kind < kFirstBinaryKind) return to_js(env, value.bytes);
  napi_value buffer = nullptr;
  napi_create_buffer_copy(env, value.bytes.size(), value.bytes.data(), nullptr, &buffer);
  return buffer;
}

std::optional<std::string> optional_text_from(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value == nullptr || napi_typeof(env, value, &type) != napi_ok || type != napi_string) {
    return std::nullopt;
  }
  return text_from(env, value);
}

}  // namespace

TimeToLive FromJs<TimeToLive>::read(napi_env env, napi_value value) {
  const double ms = number_from(env, value);
  return {ms < 0 ? kKeepEnd : nanos_from_ms(ms)};
}

ExpectedVersion FromJs<ExpectedVersion>::read(napi_env env, napi_value value) {
  const double number = number_from(env, value);
  return {number < 0 ? kAnyVersion : static_cast<KvVersion>(number)};
}

KvValue kv_value_from(napi_env env, napi_value value, std::uint8_t kind) {
  if (kind < kFirstBinaryKind) return {text_from(env, value), kind};
  return {std::string(bytes_from(env, value)), kind};
}

KvScanRequest FromJs<KvScanRequest>::read(napi_env env, napi_value value) {
  const Places given(env, value);
  const auto text = [&](std::uint32_t place) {
    return optional_text_from(env, given.value(place));
  };
  const KvOrder order = given.get<bool>(1) ? KvOrder::kDescending : KvOrder::kAscending;
  return {.range = kv_range(text(3).value_or(""), text(4), text(5), text(6), order),
          .limit = given.get<std::size_t>(0),
          .order = order,
          .keys_only = given.get<bool>(2)};
}

napi_value ToJs<KvEntryRef>::make(napi_env env, const KvEntryRef& entry) {
  if (!entry) return nullptr;
  return tuple_of(env, value_for_js(env, entry->value), entry->value.kind, entry->version,
                  entry->last_alive);
}

napi_value ToJs<KvHead>::make(napi_env env, const KvHead& head) {
  const KvEntryRef& entry = head.entry;
  if (!entry) return nullptr;
  return tuple_of(env, entry->value.bytes.size(), entry->version, entry->last_alive);
}

napi_value ToJs<KvScanned>::make(napi_env env, const KvScanned& scanned) {
  std::vector<napi_value> values;
  values.reserve(1 + 4 * scanned.page.entries.size());
  values.push_back(to_js(env, scanned.page.more ? 1U : 0U));
  for (const KvEntryRef& entry : scanned.page.entries) {
    values.push_back(to_js(env, entry->key));
    values.push_back(to_js(env, entry->version));
    if (scanned.keys_only) continue;
    values.push_back(value_for_js(env, entry->value));
    values.push_back(to_js(env, entry->value.kind));
  }
  return array_of(env, values);
}

napi_value kv_changes_for_js(napi_env env, const std::vector<KvOwnedChange>& changes) {
  std::vector<napi_value> values;
  values.reserve(6 * changes.size());
  for (const KvOwnedChange& change : changes) {
    const bool sets = change.type == KvChange::Kind::kSet;
    values.push_back(to_js(env, change.type));
    values.push_back(to_js(env, change.version));
    values.push_back(to_js(env, change.key));
    values.push_back(sets ? value_for_js(env, change.value) : nullptr);
    values.push_back(sets ? to_js(env, change.value.kind) : nullptr);
    values.push_back(to_js(env, change.last_alive));
  }
  return array_of(env, values);
}

napi_value ToJs<KvResult>::make(napi_env env, const KvResult& result) {
  return to_js(env, result.status == KvStatus::kDone ? static_cast<double>(result.version)
                                                     : -1 - static_cast<double>(result.status));
}

}  // namespace sluice
