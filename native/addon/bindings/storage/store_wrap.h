// The binding of the JavaScript class `Store`.
#pragma once

#include <napi.h>

#include <memory>

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
class StoreWrap final : public Napi::ObjectWrap<StoreWrap> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit StoreWrap(const Napi::CallbackInfo& info);
  ~StoreWrap() override;

  /// The store of a `Store` that JavaScript passed and has started; nullptr for anything else.
  static std::shared_ptr<SqliteStore> store_of(const Napi::CallbackInfo& info, std::size_t index);

  /// The file of a `Store` that was opened and is not started; nullptr for anything else.
  static StoreFile* file_of(const Napi::CallbackInfo& info, std::size_t index);

 private:
  Napi::Value open(const Napi::CallbackInfo& info);
  Napi::Value select(const Napi::CallbackInfo& info);
  void start(const Napi::CallbackInfo& info);
  Napi::Value commit(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value room(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  static StoreWrap* wrap_of(const Napi::CallbackInfo& info, std::size_t index);
  void shut();
  static void on_environment_exit(void* self);

  std::unique_ptr<StoreFile> file_;  // until the store is started
  std::shared_ptr<SqliteStore> store_;
  std::shared_ptr<ReactorHandle> reactor_;
  double machine_id_ = 0;
};

}  // namespace sluice
