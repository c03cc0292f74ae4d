#include "addon/bindings/kv/arguments.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice {
namespace {

constexpr std::uint8_t kFirstBinaryKind = 2;

// What may be null, for a value that could not be made.
napi_value number_for_js(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

napi_value value_for_js(napi_env env, const KvValue& value) {
  if (value.kind < kFirstBinaryKind) return text_for_js(env, value.bytes);
  napi_value buffer = nullptr;
  napi_create_buffer_copy(env, value.bytes.size(), value.bytes.data(), nullptr, &buffer);
  return buffer;
}

Napi::Value array_for_js(napi_env env, const std::vector<napi_value>& values) {
  napi_value array = nullptr;
  if (napi_create_array_with_length(env, values.size(), &array) != napi_ok) return {};
  std::uint32_t index = 0;
  for (napi_value value : values) {
    if (value == nullptr || napi_set_element(env, array, index++, value) != napi_ok) return {};
  }
  return {env, array};
}

std::optional<std::string> optional_text_from(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value == nullptr || napi_typeof(env, value, &type) != napi_ok || type != napi_string) {
    return std::nullopt;
  }
  return text_from(env, value);
}

}  // namespace

KvValue kv_value_from(napi_env env, napi_value value, napi_value kind) {
  const auto of = static_cast<std::uint8_t>(count_from(env, kind));
  if (of < kFirstBinaryKind) return {text_from(env, value), of};
  return {std::string(bytes_from(env, value)), of};
}

KvVersion kv_version_from(napi_env env, napi_value value) {
  const double number = number_from(env, value);
  return number < 0 ? kAnyVersion : static_cast<KvVersion>(number);
}

KvScanRequest kv_scan_from(const Napi::CallbackInfo& info, std::size_t first) {
  const napi_env env = info.Env();
  const auto text = [&](std::size_t i) { return optional_text_from(env, info[first + i]); };
  const bool reverse = flag_from(env, info[first + 1]);
  const KvOrder order = reverse ? KvOrder::kDescending : KvOrder::kAscending;
  return {.range = kv_range(text(3).value_or(""), text(4), text(5), text(6), order),
          .limit = count_from(env, info[first]),
          .order = order,
          .keys_only = flag_from(env, info[first + 2])};
}

Napi::Value kv_entry_for_js(napi_env env, const KvEntryRef& entry) {
  if (!entry) return Napi::Env(env).Undefined();
  return array_for_js(env, {value_for_js(env, entry->value), number_for_js(env, entry->value.kind),
                            number_for_js(env, static_cast<double>(entry->version)),
                            number_for_js(env, ms_from_nanos(entry->last_alive))});
}

Napi::Value kv_head_for_js(napi_env env, const KvEntryRef& entry) {
  if (!entry) return Napi::Env(env).Undefined();
  return array_for_js(env, {number_for_js(env, static_cast<double>(entry->value.bytes.size())),
                            number_for_js(env, static_cast<double>(entry->version)),
                            number_for_js(env, ms_from_nanos(entry->last_alive))});
}

Napi::Value kv_page_for_js(napi_env env, const KvPage& page, bool keys_only) {
  std::vector<napi_value> values;
  values.reserve(1 + 4 * page.entries.size());
  values.push_back(number_for_js(env, page.more ? 1 : 0));
  for (const KvEntryRef& entry : page.entries) {
    values.push_back(text_for_js(env, entry->key));
    values.push_back(number_for_js(env, static_cast<double>(entry->version)));
    if (keys_only) continue;
    values.push_back(value_for_js(env, entry->value));
    values.push_back(number_for_js(env, entry->value.kind));
  }
  return array_for_js(env, values);
}

Napi::Value kv_changes_for_js(napi_env env, const std::vector<KvOwnedChange>& changes) {
  std::vector<napi_value> values;
  values.reserve(6 * changes.size());
  for (const KvOwnedChange& change : changes) {
    const bool sets = change.type == KvChange::Kind::kSet;
    values.push_back(number_for_js(env, static_cast<double>(change.type)));
    values.push_back(number_for_js(env, static_cast<double>(change.version)));
    values.push_back(text_for_js(env, change.key));
    values.push_back(sets ? value_for_js(env, change.value) : Napi::Env(env).Undefined());
    values.push_back(sets ? number_for_js(env, change.value.kind) : Napi::Env(env).Undefined());
    values.push_back(number_for_js(env, ms_from_nanos(change.last_alive)));
  }
  return array_for_js(env, values);
}

Napi::Value kv_result_for_js(napi_env env, const KvResult& result) {
  const double answer = result.status == KvStatus::kDone ? static_cast<double>(result.version)
                                                         : -1 - static_cast<double>(result.status);
  return Napi::Value(env, number_for_js(env, answer));
}

}  // namespace sluice
