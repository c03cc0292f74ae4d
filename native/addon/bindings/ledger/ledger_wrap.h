// The binding of the JavaScript class `Ledger`.
#pragma once

#include <napi.h>

#include <memory>

#include "core/ledger/ledger.h"
#include "runtime/storage/sqlite_store.h"

namespace sluice {

/// The JavaScript class `Ledger`, private to lib/primitives/ledger/ledger.js: a Ledger, called
/// synchronously.
///
///   new Ledger()
///   open(nowMs, account, overdraft, metadata) -> answer
///   execute(nowMs, operation, key, one, other, amount, target, timeMs, force, metadata) -> answer
///   executeLinked(nowMs, key, [[from, to, amount, metadata]...]) -> [answer...]
///     '' as `from`: a deposit, as `to`: a withdrawal; a single answer for a conflict
///   advance(nowMs)
///   nextDeadlineMs() -> Infinity for never
///   balance(nowMs, account) -> [posted, held, closed], or undefined: no such account
///   events(nowMs, account, after, limit) -> [event...], or undefined
///   journal(nowMs, after, limit) -> [event...]
///   openHolds(nowMs) -> [event...]
///   accounts() -> [name...]
///   replay(event) -> '', or why the event is invalid
///   load(store) -> '' once all events of an opened `Store` are loaded, or else the fault
///   replayEnd() -> '', or why the journal cannot end here
///   keep(store)    every event from now on is written to a started `Store`
///   rename(account, name)   also in its events, whose keys and metadata are erased
///   lastAtMs() -> the time of the last event
///
/// `one` and `other` are the account, or the payer and the payee. An answer is `[code, posted,
/// held, event]`, without `event` if there is none. An event is an array of its fields in the order
/// of LedgerEvent. Operations, types and codes are the numbers of core/ledger/event.h, amounts
/// BigInts.
///
/// JavaScript's thread only; ends with garbage collection.
class LedgerWrap final : public Napi::ObjectWrap<LedgerWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LedgerWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

 private:
  Napi::Value open(const Napi::CallbackInfo& info);
  Napi::Value execute_linked(const Napi::CallbackInfo& info);
  void rename(const Napi::CallbackInfo& info);
  Napi::Value replay_end(const Napi::CallbackInfo& info);
  Napi::Value execute(const Napi::CallbackInfo& info);
  void advance(const Napi::CallbackInfo& info);
  Napi::Value next_deadline_ms(const Napi::CallbackInfo& info);
  Napi::Value balance(const Napi::CallbackInfo& info);
  Napi::Value events(const Napi::CallbackInfo& info);
  Napi::Value journal(const Napi::CallbackInfo& info);
  Napi::Value open_holds(const Napi::CallbackInfo& info);
  Napi::Value accounts(const Napi::CallbackInfo& info);
  Napi::Value replay(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  void keep(const Napi::CallbackInfo& info);
  Napi::Value last_at_ms(const Napi::CallbackInfo& info);

  Ledger ledger_;
  std::shared_ptr<SqliteStore> store_;  // where it is kept, if it is
};

}  // namespace sluice
