#include "addon/bindings/ledger/ledger_wrap.h"

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "addon/bindings/storage/store_wrap.h"
#include "addon/napi/arguments.h"
#include "addon/napi/reactor_wrap.h"
#include "runtime/storage/ledger_rows.h"

namespace sluice {
namespace {

using Type = LedgerEventType;

constexpr std::size_t kEventFields = 15;

// An array filled from the front; after a failed call it ignores further elements.
class ArrayFiller {
 public:
  ArrayFiller(napi_env env, std::size_t size) : env_(env) {
    ok_ = napi_create_array_with_length(env, size, &array_) == napi_ok;
  }

  void add(double number) {
    napi_value value = nullptr;
    const napi_status status = napi_create_double(env_, number, &value);
    put(status, value);
  }
  void add_amount(Amount amount) {
    napi_value value = nullptr;
    const napi_status status = napi_create_bigint_int64(env_, amount, &value);
    put(status, value);
  }
  void add(std::string_view text) {
    napi_value value = nullptr;
    const napi_status status = napi_create_string_utf8(env_, text.data(), text.size(), &value);
    put(status, value);
  }
  void add_flag(bool flag) {
    napi_value value = nullptr;
    const napi_status status = napi_get_boolean(env_, flag, &value);
    put(status, value);
  }
  void add(napi_value value) { put(value == nullptr ? napi_invalid_arg : napi_ok, value); }

  /// nullptr if a call failed.
  [[nodiscard]] napi_value take() const { return ok_ ? array_ : nullptr; }

 private:
  void put(napi_status status, napi_value value) {
    ok_ = ok_ && status == napi_ok && napi_set_element(env_, array_, next_++, value) == napi_ok;
  }

  napi_env env_;
  napi_value array_ = nullptr;
  std::uint32_t next_ = 0;
  bool ok_ = false;
};

Napi::Value handed_out(napi_env env, napi_value value) {
  return value == nullptr ? Napi::Value() : Napi::Value(env, value);
}

napi_value array_of_event(napi_env env, const LedgerEvent& event) {
  ArrayFiller fields(env, kEventFields);
  fields.add(static_cast<double>(event.id));
  fields.add(static_cast<double>(event.type));
  fields.add(ms_from_nanos(event.at));
  fields.add(event.key);
  fields.add(event.from);
  fields.add(event.to);
  fields.add_amount(event.amount);
  fields.add(static_cast<double>(event.target));
  fields.add(ms_from_nanos(event.time));
  fields.add_flag(event.force);
  fields.add(ms_from_nanos(event.due));
  fields.add(static_cast<double>(event.code));
  fields.add(static_cast<double>(event.refused));
  fields.add(static_cast<double>(event.linked));
  fields.add(event.metadata);
  return fields.take();
}

// An event with id 0 for an invalid array.
LedgerEvent event_from(napi_env env, napi_value array) {
  LedgerEvent event;
  const std::vector<napi_value> fields = elements_of(env, array);
  if (fields.size() != kEventFields) return event;
  event.id = count_from(env, fields[0]);
  event.type = static_cast<Type>(count_from(env, fields[1]));
  event.at = nanos_from_ms(number_from(env, fields[2]));
  event.key = text_from(env, fields[3]);
  event.from = text_from(env, fields[4]);
  event.to = text_from(env, fields[5]);
  event.amount = bigint64_from(env, fields[6]);
  event.target = count_from(env, fields[7]);
  event.time = nanos_from_ms(number_from(env, fields[8]));
  event.force = flag_from(env, fields[9]);
  event.due = nanos_from_ms(number_from(env, fields[10]));
  event.code = static_cast<LedgerCode>(count_from(env, fields[11]));
  event.refused = static_cast<Type>(count_from(env, fields[12]));
  event.linked = static_cast<std::uint32_t>(count_from(env, fields[13]));
  event.metadata = text_from(env, fields[14]);
  return event;
}

Napi::Value array_of_events(napi_env env, const std::vector<LedgerEvent>& events) {
  ArrayFiller array(env, events.size());
  for (const LedgerEvent& event : events) {
    // For thousands of events: without a scope each would keep a dozen handles until the call ends.
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return {};
    array.add(array_of_event(env, event));
    napi_close_handle_scope(env, scope);
  }
  return handed_out(env, array.take());
}

Napi::Value array_of_answer(napi_env env, const LedgerResult& result) {
  const bool has_event = result.event.id != 0;
  ArrayFiller answer(env, has_event ? 4 : 3);
  answer.add(static_cast<double>(result.code));
  answer.add_amount(result.balance.posted);
  answer.add_amount(result.balance.held);
  if (has_event) answer.add(array_of_event(env, result.event));
  return handed_out(env, answer.take());
}

Nanos now_from(const Napi::CallbackInfo& info) {
  return nanos_at(info, 0);
}

// Of [from, to, amount, metadata].
LedgerRequest linked_request_from(napi_env env, napi_value array, std::string key) {
  std::vector<napi_value> fields = elements_of(env, array);
  fields.resize(4);
  std::string from = text_from(env, fields[0]);
  std::string to = text_from(env, fields[1]);
  const Amount amount = bigint64_from(env, fields[2]);
  LedgerRequest request;
  if (from.empty()) {
    request = deposit_request(std::move(key), std::move(to), amount);
  } else if (to.empty()) {
    request = withdraw_request(std::move(key), std::move(from), amount);
  } else {
    request = transfer_request(std::move(key), std::move(from), std::move(to), amount);
  }
  request.metadata = text_from(env, fields[3]);
  return request;
}

LedgerRequest request_from(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  std::string key = text_from(env, info[2]);
  std::string one = text_from(env, info[3]);
  std::string other = text_from(env, info[4]);
  const Amount amount = bigint64_from(env, info[5]);
  const LedgerId target = count_from(env, info[6]);
  const Nanos time = nanos_from_ms(number_from(env, info[7]));
  switch (static_cast<Type>(count_from(env, info[1]))) {
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
      return reverse_request(std::move(key), target, flag_from(env, info[8]));
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

Napi::Function LedgerWrap::define(Napi::Env env) {
  return DefineClass(env, "Ledger",
                     {
                         InstanceMethod<&LedgerWrap::open>("open"),
                         InstanceMethod<&LedgerWrap::execute>("execute"),
                         InstanceMethod<&LedgerWrap::execute_linked>("executeLinked"),
                         InstanceMethod<&LedgerWrap::rename>("rename"),
                         InstanceMethod<&LedgerWrap::replay_end>("replayEnd"),
                         InstanceMethod<&LedgerWrap::advance>("advance"),
                         InstanceMethod<&LedgerWrap::next_deadline_ms>("nextDeadlineMs"),
                         InstanceMethod<&LedgerWrap::balance>("balance"),
                         InstanceMethod<&LedgerWrap::events>("events"),
                         InstanceMethod<&LedgerWrap::journal>("journal"),
                         InstanceMethod<&LedgerWrap::open_holds>("openHolds"),
                         InstanceMethod<&LedgerWrap::accounts>("accounts"),
                         InstanceMethod<&LedgerWrap::replay>("replay"),
                         InstanceMethod<&LedgerWrap::load>("load"),
                         InstanceMethod<&LedgerWrap::keep>("keep"),
                         InstanceMethod<&LedgerWrap::last_at_ms>("lastAtMs"),
                     });
}

Napi::Value LedgerWrap::open(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  return array_of_answer(env, ledger_.open(text_from(env, info[1]), bigint64_from(env, info[2]),
                                           now_from(info), text_from(env, info[3])));
}

Napi::Value LedgerWrap::execute(const Napi::CallbackInfo& info) {
  LedgerRequest request = request_from(info);
  request.metadata = text_from(info.Env(), info[9]);
  return array_of_answer(info.Env(), ledger_.execute(request, now_from(info)));
}

Napi::Value LedgerWrap::execute_linked(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  std::vector<LedgerRequest> requests;
  for (napi_value each : elements_of(env, info[2])) {
    requests.push_back(
        linked_request_from(env, each, requests.empty() ? text_from(env, info[1]) : ""));
  }
  if (requests.empty()) return info.Env().Undefined();
  const std::vector<LedgerResult> results = ledger_.execute_linked(requests, now_from(info));
  ArrayFiller answers(env, results.size());
  for (const LedgerResult& result : results) answers.add(array_of_answer(env, result));
  return handed_out(env, answers.take());
}

void LedgerWrap::rename(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  const auto changed = ledger_.rename(text_from(env, info[0]), text_from(env, info[1]));
  if (store_) store_->commit_until_written(batch_of_changed(changed), nullptr);
}

Napi::Value LedgerWrap::replay_end(const Napi::CallbackInfo& info) {
  return handed_out(info.Env(), text_for_js(info.Env(), ledger_.replay_end()));
}

void LedgerWrap::advance(const Napi::CallbackInfo& info) {
  ledger_.advance(now_from(info));
}

Napi::Value LedgerWrap::next_deadline_ms(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), ms_from_nanos(ledger_.next_deadline()));
}

Napi::Value LedgerWrap::balance(const Napi::CallbackInfo& info) {
  const auto found = ledger_.balance(text_from(info.Env(), info[1]), now_from(info));
  if (!found) return info.Env().Undefined();
  ArrayFiller answer(info.Env(), 3);
  answer.add_amount(found->posted);
  answer.add_amount(found->held);
  answer.add_flag(ledger_.is_closed(text_from(info.Env(), info[1])).value_or(false));
  return handed_out(info.Env(), answer.take());
}

Napi::Value LedgerWrap::events(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  const auto found = ledger_.events(text_from(env, info[1]), count_from(env, info[2]),
                                    count_from(env, info[3]), now_from(info));
  return found ? array_of_events(env, *found) : info.Env().Undefined();
}

Napi::Value LedgerWrap::journal(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  return array_of_events(
      env, ledger_.journal(count_from(env, info[1]), count_from(env, info[2]), now_from(info)));
}

Napi::Value LedgerWrap::open_holds(const Napi::CallbackInfo& info) {
  return array_of_events(info.Env(), ledger_.open_holds(now_from(info)));
}

Napi::Value LedgerWrap::accounts(const Napi::CallbackInfo& info) {
  const std::vector<std::string> names = ledger_.accounts();
  ArrayFiller array(info.Env(), names.size());
  for (const std::string& name : names) array.add(name);
  return handed_out(info.Env(), array.take());
}

Napi::Value LedgerWrap::replay(const Napi::CallbackInfo& info) {
  const napi_env env = info.Env();
  return handed_out(env, text_for_js(env, ledger_.replay(event_from(env, info[0]))));
}

Napi::Value LedgerWrap::load(const Napi::CallbackInfo& info) {
  StoreFile* const file = StoreWrap::file_of(info, 0);
  const std::string problem = file == nullptr ? "it is not open" : load_ledger(*file, ledger_);
  return handed_out(info.Env(), text_for_js(info.Env(), problem));
}

void LedgerWrap::keep(const Napi::CallbackInfo& info) {
  store_ = StoreWrap::store_of(info, 0);
  if (!store_) return;
  ledger_.observe([store = store_](std::span<const LedgerEvent* const> events) {
    store->commit_until_written(batch_of(events), nullptr);
  });
}

Napi::Value LedgerWrap::last_at_ms(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), ms_from_nanos(ledger_.last_at()));
}

}  // namespace sluice
