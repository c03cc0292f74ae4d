// The JavaScript class `Ledger`, private to lib/primitives/ledger/ledger.js: core/ledger.h,
// synchronous.
//
//   new Ledger()
//   open(nowMs, account, overdraft, metadata) -> answer
//   execute(nowMs, operation, key, one, other, amount, target, timeMs, force, metadata) -> answer
//   executeLinked(nowMs, key, [[from, to, amount, metadata]...]) -> [answer...]    '' for `from` is
//     a deposit, for `to` a withdrawal; a single answer for a conflict
//   advance(nowMs)
//   nextDeadlineMs() -> Infinity for never
//   balance(nowMs, account) -> [posted, held, closed], or undefined: no such account
//   events(nowMs, account, after, limit) -> [event...], or undefined
//   journal(nowMs, after, limit) -> [event...]
//   accounts() -> [name...]
//   replay(event) -> why it cannot be one; '' when it was taken in
//   load(store) -> what is wrong with the events in an opened `Store`; '' when all were taken in
//   replayEnd() -> why the journal cannot end where it does; ''
//   keep(store)    every event from now on is written to a started `Store`
//   rename(account, name)   in all events, too, whose keys and metadata are erased
//   lastAtMs() -> of the last event
//
// `one` and `other` are the account, or who pays and who is paid. An answer is `[code, posted,
// held, event]`, without an event where there is none; an event an array of its fields, in the
// order of LedgerEvent. Operations, types and codes are the numbers of core/ledger_event.h, amounts
// BigInts.
//
// JavaScript's thread only; ends with garbage collection.
#pragma once

#include <napi.h>

#include <memory>

#include "core/ledger/ledger.h"
#include "runtime/storage/sqlite_store.h"

namespace sluice {

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
  Napi::Value accounts(const Napi::CallbackInfo& info);
  Napi::Value replay(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  void keep(const Napi::CallbackInfo& info);
  Napi::Value last_at_ms(const Napi::CallbackInfo& info);

  Ledger ledger_;
  std::shared_ptr<SqliteStore> store_;  // where it is kept, if it is
};

}  // namespace sluice
