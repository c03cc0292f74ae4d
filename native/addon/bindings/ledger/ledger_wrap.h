// The binding of the JavaScript class `Ledger`.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon/napi/method.h"
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
///   replay(event) -> '', or the reason for refusal
///   load(store) -> '' once all events of an opened `Store` are loaded, or else the fault
///   replayEnd() -> '', or the reason why the journal cannot end here
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
class LedgerWrap final : public Napi::ObjectWrap<LedgerWrap>, private DirectMethods<LedgerWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit LedgerWrap(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

  [[nodiscard]] Ledger& target() { return ledger_; }

 private:
  LedgerResult open(Nanos now, const std::string& account, BigInt overdraft,
                    const std::string& metadata);
  LedgerResult execute(Nanos now, std::uint32_t operation, std::string key, std::string one,
                       std::string other, BigInt amount, LedgerId target, Nanos time, bool force,
                       std::string metadata);
  std::optional<std::vector<LedgerResult>> execute_linked(Nanos now, std::string key,
                                                          const std::vector<napi_value>& transfers);
  void rename(const std::string& account, const std::string& name);
  napi_value balance(Nanos now, const std::string& account);
  std::optional<std::vector<LedgerEvent>> events(Nanos now, const std::string& account,
                                                 LedgerId after, std::size_t limit);
  std::vector<LedgerEvent> journal(Nanos now, LedgerId after, std::size_t limit);
  std::string load(napi_value store);
  void keep(napi_value store);

  Ledger ledger_;
  std::shared_ptr<SqliteStore> store_;  // the data file that keeps it; null without one
};

}  // namespace sluice
