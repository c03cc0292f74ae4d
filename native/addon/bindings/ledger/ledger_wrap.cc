#include "addon/bindings/ledger/ledger_wrap.h"

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "addon/bindings/storage/store_wrap.h"
#include "runtime/storage/ledger_rows.h"

namespace sluice {
namespace {

using Type = LedgerEventType;

constexpr std::size_t kEventFields = 15;

// Of [from, to, amount, metadata].
LedgerRequest linked_request_from(napi_env env, napi_value array, std::string key) {
  const Places fields(env, array);
  auto from = fields.get<std::string>(0);
  auto to = fields.get<std::string>(1);
  const Amount amount = fields.get<BigInt>(2).value;
  LedgerRequest request;
  if (from.empty()) {
    request = deposit_request(std::move(key), std::move(to), amount);
  } else if (to.empty()) {
    request = withdraw_request(std::move(key), std::move(from), amount);
  } else {
    request = transfer_request(std::move(key), std::move(from), std::move(to), amount);
  }
  request.metadata = fields.get<std::string>(3);
  return request;
}

LedgerRequest request_of(Type operation, std::string key, std::string one, std::string other,
                         Amount amount, LedgerId target, Nanos time, bool force) {
  switch (operation) {
    case Type::kWithdraw:
      return withdraw_request(std::move(key), std::move(one), amount);
    case Type::kTransfer:
      return transfer_request(std::move(key), std::move(one), std::move(other), amount);
    case Type::kHold:
      return hold_request(std::move(key), std::move(one), amount, time);
    case Type::kSettle:
      return settle_request(std::move(key), target, amount);
    case Type::kVoid:
      return void_request(std::move(key), target);
    case Type::kReverse:
      return reverse_request(std::move(key), target, force);
    case Type::kSchedule:
      return schedule_request(std::move(key), time, std::move(one), std::move(other), amount);
    case Type::kClose:
      return close_request(std::move(key), std::move(one));
    case Type::kCancelScheduled:
      return cancel_request(std::move(key), target);
    default:
      return deposit_request(std::move(key), std::move(one), amount);
  }
}

}  // namespace

template <>
struct ToJs<LedgerEvent> {
  static napi_value make(napi_env env, const LedgerEvent& event) {
    return tuple_of(env, event.id, event.type, event.at, event.key, event.from, event.to,
                    BigInt{event.amount}, event.target, event.time, event.force, event.due,
                    event.code, event.refused, event.linked, event.metadata);
  }
};

// An event with id 0 for an invalid array.
template <>
struct FromJs<LedgerEvent> {
  static LedgerEvent read(napi_env env, napi_value array) {
    LedgerEvent event;
    if (elements_of(env, array).size() != kEventFields) return event;
    const Places fields(env, array);
    event.id = fields.get<LedgerId>(0);
    event.type = static_cast<Type>(fields.get<std::uint32_t>(1));
    event.at = fields.get<Nanos>(2);
    event.key = fields.get<std::string>(3);
    event.from = fields.get<std::string>(4);
    event.to = fields.get<std::string>(5);
    event.amount = fields.get<BigInt>(6).value;
    event.target = fields.get<LedgerId>(7);
    event.time = fields.get<Nanos>(8);
    event.force = fields.get<bool>(9);
    event.due = fields.get<Nanos>(10);
    event.code = static_cast<LedgerCode>(fields.get<std::uint32_t>(11));
    event.refused = static_cast<Type>(fields.get<std::uint32_t>(12));
    event.linked = fields.get<std::uint32_t>(13);
    event.metadata = fields.get<std::string>(14);
    return event;
  }
};

template <>
struct ToJs<LedgerResult> {
  static napi_value make(napi_env env, const LedgerResult& result) {
    const BigInt posted{result.balance.posted};
    const BigInt held{result.balance.held};
    if (result.event.id == 0) return tuple_of(env, result.code, posted, held);
    return tuple_of(env, result.code, posted, held, result.event);
  }
};

Napi::Function LedgerWrap::define(Napi::Env env) {
  return DefineClass(env, "Ledger",
                     {
                         method<&LedgerWrap::open>("open"),
                         method<&LedgerWrap::execute>("execute"),
                         method<&LedgerWrap::execute_linked>("executeLinked"),
                         method<&LedgerWrap::rename>("rename"),
                         method<&Ledger::replay_end>("replayEnd"),
                         method<&Ledger::advance>("advance"),
                         method<&Ledger::next_deadline>("nextDeadlineMs"),
                         method<&LedgerWrap::balance>("balance"),
                         method<&LedgerWrap::events>("events"),
                         method<&LedgerWrap::journal>("journal"),
                         method<&Ledger::open_holds>("openHolds"),
                         method<&Ledger::accounts>("accounts"),
                         method<&Ledger::replay>("replay"),
                         method<&LedgerWrap::load>("load"),
                         method<&LedgerWrap::keep>("keep"),
                         method<&Ledger::last_at>("lastAtMs"),
                     });
}

LedgerResult LedgerWrap::open(Nanos now, const std::string& account, BigInt overdraft,
                              const std::string& metadata) {
  return ledger_.open(account, overdraft.value, now, metadata);
}

LedgerResult LedgerWrap::execute(Nanos now, std::uint32_t operation, std::string key,
                                 std::string one, std::string other, BigInt amount, LedgerId target,
                                 Nanos time, bool force, std::string metadata) {
  LedgerRequest request = request_of(static_cast<Type>(operation), std::move(key), std::move(one),
                                     std::move(other), amount.value, target, time, force);
  request.metadata = std::move(metadata);
  return ledger_.execute(request, now);
}

std::optional<std::vector<LedgerResult>> LedgerWrap::execute_linked(
    Nanos now, std::string key, const std::vector<napi_value>& transfers) {
  if (transfers.empty()) return std::nullopt;
  std::vector<LedgerRequest> requests;
  for (napi_value each : transfers) {
    requests.push_back(linked_request_from(Env(), each, std::exchange(key, {})));
  }
  return ledger_.execute_linked(requests, now);
}

void LedgerWrap::rename(const std::string& account, const std::string& name) {
  const auto changed = ledger_.rename(account, name);
  if (store_) store_->commit_until_written(batch_of_changed(changed), nullptr);
}

napi_value LedgerWrap::balance(Nanos now, const std::string& account) {
  const auto found = ledger_.balance(account, now);
  if (!found) return nullptr;
  return tuple_of(Env(), BigInt{found->posted}, BigInt{found->held},
                  ledger_.is_closed(account).value_or(false));
}

std::optional<std::vector<LedgerEvent>> LedgerWrap::events(Nanos now, const std::string& account,
                                                           LedgerId after, std::size_t limit) {
  return ledger_.events(account, after, limit, now);
}

std::vector<LedgerEvent> LedgerWrap::journal(Nanos now, LedgerId after, std::size_t limit) {
  return ledger_.journal(after, limit, now);
}

std::string LedgerWrap::load(napi_value store) {
  StoreFile* const file = StoreWrap::file_of(Env(), store);
  return file == nullptr ? "it is not open" : load_ledger(*file, ledger_);
}

void LedgerWrap::keep(napi_value store) {
  store_ = StoreWrap::store_of(Env(), store);
  if (!store_) return;
  ledger_.observe([store = store_](std::span<const LedgerEvent* const> events) {
    store->commit_until_written(batch_of(events), nullptr);
  });
}

}  // namespace sluice
