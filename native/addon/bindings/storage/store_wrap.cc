#include "addon/bindings/storage/store_wrap.h"

#include <future>
#include <utility>
#include <variant>
#include <vector>

namespace sluice {

template <>
struct FromJs<StoreValue> {
  static StoreValue read(napi_env env, napi_value value) {
    napi_valuetype type = napi_undefined;
    if (napi_typeof(env, value, &type) != napi_ok) return std::monostate{};
    switch (type) {
      case napi_number:
        return static_cast<std::int64_t>(number_from(env, value));
      case napi_bigint:
        return bigint64_from(env, value);
      case napi_string:
        return text_from(env, value);
      case napi_object:
        return StoreBlob{std::string(bytes_from(env, value))};
      default:
        return std::monostate{};
    }
  }
};

template <>
struct ToJs<StoreValue> {
  static napi_value make(napi_env env, const StoreValue& value) {
    constexpr std::int64_t kExactMax = std::int64_t{1} << 53;
    napi_value out = nullptr;
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      if (*number < -kExactMax || *number > kExactMax) return to_js(env, BigInt{*number});
      return to_js(env, static_cast<double>(*number));
    }
    if (const auto* text = std::get_if<std::string>(&value)) return to_js(env, *text);
    if (const auto* blob = std::get_if<StoreBlob>(&value)) {
      napi_create_buffer_copy(env, blob->bytes.size(), blob->bytes.data(), nullptr, &out);
    } else {
      napi_get_null(env, &out);
    }
    return out;
  }
};

Napi::Function StoreWrap::define(Napi::Env env) {
  return DefineClass(env, "Store",
                     {
                         method<&StoreWrap::open>("open"),
                         method<&StoreWrap::select>("select"),
                         method<&StoreWrap::start>("start"),
                         method<&StoreWrap::commit>("commit"),
                         method<&StoreWrap::state>("state"),
                         method<&StoreWrap::room>("room"),
                         method<&StoreWrap::stats>("stats"),
                         method<&StoreWrap::shut>("close"),
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

StoreWrap* StoreWrap::wrap_of(napi_env env, napi_value value) {
  void* wrap = nullptr;
  if (!is_object(env, value) || napi_unwrap(env, value, &wrap) != napi_ok) return nullptr;
  return static_cast<StoreWrap*>(wrap);
}

std::shared_ptr<SqliteStore> StoreWrap::store_of(napi_env env, napi_value value) {
  const StoreWrap* const wrap = wrap_of(env, value);
  return wrap == nullptr ? nullptr : wrap->store_;
}

StoreFile* StoreWrap::file_of(napi_env env, napi_value value) {
  const StoreWrap* const wrap = wrap_of(env, value);
  return wrap == nullptr ? nullptr : wrap->file_.get();
}

std::array<std::string, 2> StoreWrap::open(const std::string& path, bool read_only) {
  const auto mode = read_only ? StoreFile::Mode::kRead : StoreFile::Mode::kWrite;
  StoreFile::Opened opened = StoreFile::open(path, mode);
  file_ = std::move(opened.file);
  return {std::string(name_of(opened.status)), opened.detail};
}

napi_value StoreWrap::select(const std::string& name, const StoreRow& values) {
  if (!file_) return nullptr;
  std::vector<StoreRow> rows;
  const StoreStatus status = file_->select(file_->statement(name), values, rows);
  return status == StoreStatus::kOk ? to_js(Env(), rows) : nullptr;
}

void StoreWrap::start(napi_value reactor, double machine_id) {
  if (!file_) return;
  reactor_ = ReactorWrap::handle_of(Env(), reactor);
  machine_id_ = machine_id;
  store_ = std::make_shared<SqliteStore>(std::move(file_));
}

std::string_view StoreWrap::commit(double request, napi_value changes, bool scrub) {
  if (!store_) return name_of(StoreStatus::kClosed);
  StoreBatch batch;
  const std::vector<napi_value> given = elements_of(Env(), changes);
  for (std::size_t i = 0; i + 1 < given.size(); i += 2) {
    batch.push_back({statement_at(store_schema().statements, text_from(Env(), given[i])),
                     FromJs<StoreRow>::read(Env(), given[i + 1])});
  }
  // Under a manual clock the answer is there before this returns.
  std::promise<void> written;
  std::future<void> answered = written.get_future();
  const bool waits = reactor_->manual != nullptr;
  const StoreStatus taken = store_->commit(
      std::move(batch),
      [events = reactor_->events, machine = machine_id_, request,
       written = waits ? std::make_shared<std::promise<void>>(std::move(written))
                       : nullptr](StoreStatus status) {
        events->push(EventKind::kStoreWritten, machine, request, std::string(name_of(status)));
        if (written) written->set_value();
      },
      scrub);
  if (waits && taken == StoreStatus::kOk) answered.wait();
  return name_of(taken);
}

std::string_view StoreWrap::state() const {
  return name_of(store_ ? store_->state() : StoreStatus::kClosed);
}

std::string_view StoreWrap::room() const {
  return name_of(store_ ? store_->room() : StoreStatus::kClosed);
}

std::array<std::uint64_t, 3> StoreWrap::stats() const {
  const SqliteStore::Stats stats = store_ ? store_->stats() : SqliteStore::Stats{};
  return {stats.commits, stats.batches, stats.queued};
}

}  // namespace sluice
