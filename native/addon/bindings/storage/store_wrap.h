// The binding of the JavaScript class `Store`.
#pragma once

#include <napi.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "addon/napi/method.h"
#include "addon/napi/reactor_wrap.h"
#include "runtime/storage/sqlite_store.h"

namespace sluice {

/// The JavaScript class `Store`: a data file and, once it is started, the thread that writes it.
///
///   new Store()
///   open(path, readOnly) -> [status, detail]
///   select(name, values) -> rows as arrays of columns; undefined when they cannot be read.
///                          Until `start` only.
///   start(reactor, machineId)      answers come as events to that machine
///   commit(request, [name, values, name, values, ...], scrub) -> status
///                          "ok": an answer will come; scrub: first erase deleted rows
///   state() -> status of the last transaction
///   room() -> whether to accept a new request, as a status
///   stats() -> [transactions, batches, queued]
///   close()                        writes the queued changes and closes the file
///
/// Columns: null, number (bigint beyond 2^53), string, Buffer. Used only by
/// lib/jobs/storage/sqlite.js. JavaScript's thread only. Ends with `close()`, garbage collection,
/// or the environment.
class StoreWrap final : public Napi::ObjectWrap<StoreWrap>, private DirectMethods<StoreWrap> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit StoreWrap(const Napi::CallbackInfo& info);
  ~StoreWrap() override;

  /// The store of a `Store` that JavaScript passed and has started; nullptr for anything else.
  static std::shared_ptr<SqliteStore> store_of(napi_env env, napi_value value);

  /// The file of a `Store` that was opened and is not started; nullptr for anything else.
  static StoreFile* file_of(napi_env env, napi_value value);

 private:
  std::array<std::string, 2> open(const std::string& path, bool read_only);
  napi_value select(const std::string& name, const StoreRow& values);
  void start(napi_value reactor, double machine_id);
  std::string_view commit(double request, napi_value changes, bool scrub);
  [[nodiscard]] std::string_view state() const;
  [[nodiscard]] std::string_view room() const;
  [[nodiscard]] std::array<std::uint64_t, 3> stats() const;
  void shut();

  static StoreWrap* wrap_of(napi_env env, napi_value value);
  static void on_environment_exit(void* self);

  std::unique_ptr<StoreFile> file_;  // until the store is started
  std::shared_ptr<SqliteStore> store_;
  std::shared_ptr<ReactorHandle> reactor_;
  double machine_id_ = 0;
};

}  // namespace sluice
