#include "addon/bindings/storage/store_wrap.h"

#include <array>
#include <future>
#include <utility>

#include "addon/napi/arguments.h"

namespace sluice {

namespace {

StoreValue value_from(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (napi_typeof(env, value, &type) != napi_ok) return std::monostate{};
  switch (type) {
    case napi_number:
      return static_cast<std::int64_t>(number_from(env, value));
    case napi_bigint: {
      std::int64_t number = 0;
      bool lossless = false;
      napi_get_value_bigint_int64(env, value, &number, &lossless);
      return number;
    }
    case napi_string:
      return text_from(env, value);
    case napi_object:
      return StoreBlob{std::string(bytes_from(env, value))};
    default:
      return std::monostate{};
  }
}

StoreRow values_from(napi_env env, napi_value array) {
  StoreRow values;
  for (napi_value value : elements_of(env, array)) values.push_back(value_from(env, value));
  return values;
}

napi_value to_js(napi_env env, const StoreValue& value) {
  constexpr std::int64_t kExactMax = std::int64_t{1} << 53;
  napi_value out = nullptr;
  if (const auto* number = std::get_if<std::int64_t>(&value)) {
    if (*number >= -kExactMax && *number <= kExactMax) {
      napi_create_int64(env, *number, &out);
    } else {
      napi_create_bigint_int64(env, *number, &out);
    }
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    napi_create_string_utf8(env, text->data(), text->size(), &out);
  } else if (const auto* blob = std::get_if<StoreBlob>(&value)) {
    napi_create_buffer_copy(env, blob->bytes.size(), blob->bytes.data(), nullptr, &out);
  } else {
    napi_get_null(env, &out);
  }
  return out;
}

// An array of the converted items; undefined while the environment is being terminated.
template <typename Items, typename Convert>
napi_value array_from(napi_env env, const Items& items, Convert convert) {
  napi_value array = nullptr;
  if (napi_create_array_with_length(env, items.size(), &array) != napi_ok) return nullptr;
  std::uint32_t index = 0;
  for (const auto& item : items) {
    napi_value element = convert(item);
    if (element == nullptr || napi_set_element(env, array, index++, element) != napi_ok) {
      return nullptr;
    }
  }
  return array;
}

}  // namespace

Napi::Function StoreWrap::define(Napi::Env env) {
  return DefineClass(env, "Store",
                     {
                         InstanceMethod<&StoreWrap::open>("open"),
                         InstanceMethod<&StoreWrap::select>("select"),
                         InstanceMethod<&StoreWrap::start>("start"),
                         InstanceMethod<&StoreWrap::commit>("commit"),
                         InstanceMethod<&StoreWrap::state>("state"),
                         InstanceMethod<&StoreWrap::room>("room"),
                         InstanceMethod<&StoreWrap::stats>("stats"),
                         InstanceMethod<&StoreWrap::close>("close"),
                     });
}

StoreWrap::StoreWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  napi_add_env_cleanup_hook(info.Env(), &StoreWrap::on_environment_exit, this);
}

StoreWrap::~StoreWrap() {
  napi_remove_env_cleanup_hook(Env(), &StoreWrap::on_environment_exit, this);
  shut();
}

void StoreWrap::on_environment_exit(void* self) {
  static_cast<StoreWrap*>(self)->shut();
}

void StoreWrap::shut() {
  file_.reset();
  // Hubs may still reference the store; closed, it accepts no changes.
  if (store_) store_->close();
  store_.reset();
}

StoreWrap* StoreWrap::wrap_of(const Napi::CallbackInfo& info, std::size_t index) {
  void* wrap = nullptr;
  if (!is_object(info.Env(), info[index]) ||
      napi_unwrap(info.Env(), info[index], &wrap) != napi_ok) {
    return nullptr;
  }
  return static_cast<StoreWrap*>(wrap);
}

std::shared_ptr<SqliteStore> StoreWrap::store_of(const Napi::CallbackInfo& info,
                                                 std::size_t index) {
  const StoreWrap* const wrap = wrap_of(info, index);
  return wrap == nullptr ? nullptr : wrap->store_;
}

StoreFile* StoreWrap::file_of(const Napi::CallbackInfo& info, std::size_t index) {
  const StoreWrap* const wrap = wrap_of(info, index);
  return wrap == nullptr ? nullptr : wrap->file_.get();
}

Napi::Value StoreWrap::open(const Napi::CallbackInfo& info) {
  const auto mode =
      flag_from(info.Env(), info[1]) ? StoreFile::Mode::kRead : StoreFile::Mode::kWrite;
  StoreFile::Opened opened = StoreFile::open(text_from(info.Env(), info[0]), mode);
  file_ = std::move(opened.file);
  const std::array<std::string, 2> answer{name_of(opened.status), opened.detail};
  return {info.Env(), array_from(info.Env(), answer, [&](const std::string& text) {
            return text_for_js(info.Env(), text);
          })};
}

Napi::Value StoreWrap::select(const Napi::CallbackInfo& info) {
  if (!file_) return info.Env().Undefined();
  const std::size_t statement = file_->statement(text_from(info.Env(), info[0]));
  std::vector<StoreRow> rows;
  const StoreStatus status = file_->select(statement, values_from(info.Env(), info[1]), rows);
  if (status != StoreStatus::kOk) return info.Env().Undefined();
  return {info.Env(), array_from(info.Env(), rows, [&](const StoreRow& row) {
            return array_from(info.Env(), row,
                              [&](const StoreValue& value) { return to_js(info.Env(), value); });
          })};
}

void StoreWrap::start(const Napi::CallbackInfo& info) {
  if (!file_) return;
  reactor_ = ReactorWrap::handle_of(info, 0);
  machine_id_ = number_from(info.Env(), info[1]);
  store_ = std::make_shared<SqliteStore>(std::move(file_));
}

Napi::Value StoreWrap::commit(const Napi::CallbackInfo& info) {
  StoreStatus taken = StoreStatus::kClosed;
  if (store_) {
    StoreBatch batch;
    const std::vector<napi_value> given = elements_of(info.Env(), info[1]);
    for (std::size_t i = 0; i + 1 < given.size(); i += 2) {
      batch.push_back({statement_at(store_schema().statements, text_from(info.Env(), given[i])),
                       values_from(info.Env(), given[i + 1])});
    }
    // Under a manual clock the answer is there before this returns.
    std::promise<void> written;
    std::future<void> answered = written.get_future();
    const bool waits = reactor_->manual != nullptr;
    taken = store_->commit(
        std::move(batch),
        [events = reactor_->events, machine = machine_id_,
         request = number_from(info.Env(), info[0]),
         written = waits ? std::make_shared<std::promise<void>>(std::move(written))
                         : nullptr](StoreStatus status) {
          events->push(EventKind::kStoreWritten, machine, request, std::string(name_of(status)));
          if (written) written->set_value();
        },
        flag_from(info.Env(), info[2]));
    if (waits && taken == StoreStatus::kOk) answered.wait();
  }
  return {info.Env(), text_for_js(info.Env(), name_of(taken))};
}

Napi::Value StoreWrap::state(const Napi::CallbackInfo& info) {
  const StoreStatus status = store_ ? store_->state() : StoreStatus::kClosed;
  return {info.Env(), text_for_js(info.Env(), name_of(status))};
}

Napi::Value StoreWrap::room(const Napi::CallbackInfo& info) {
  const StoreStatus status = store_ ? store_->room() : StoreStatus::kClosed;
  return {info.Env(), text_for_js(info.Env(), name_of(status))};
}

Napi::Value StoreWrap::stats(const Napi::CallbackInfo& info) {
  const SqliteStore::Stats stats = store_ ? store_->stats() : SqliteStore::Stats{};
  return array_of(info.Env(),
                  std::array<std::uint64_t, 3>{stats.commits, stats.batches, stats.queued});
}

void StoreWrap::close(const Napi::CallbackInfo& /*info*/) {
  shut();
}

}  // namespace sluice
