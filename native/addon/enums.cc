#include "addon/enums.h"

#include "addon/napi/event_queue.h"
#include "addon/napi/named_numbers.h"
#include "core/crawl/host_queue.h"
#include "core/kv/store.h"
#include "core/ledger/event.h"
#include "core/scheduling/task_plan.h"
#include "core/streams/event_log.h"

namespace sluice {

namespace {

Napi::Object event_kinds(Napi::Env env) {
  const auto at = [](EventKind kind) { return number_of(kind); };
  return named_numbers(env, {{"PIPELINE_ACCEPTED", at(EventKind::kPipelineAccepted)},
                             {"PIPELINE_DISPATCH", at(EventKind::kPipelineDispatch)},
                             {"PIPELINE_REMOVED", at(EventKind::kPipelineRemoved)},
                             {"PIPELINE_CLOSED", at(EventKind::kPipelineClosed)},
                             {"JOB_WINDOW", at(EventKind::kJobWindow)},
                             {"JOB_BEGUN", at(EventKind::kJobBegun)},
                             {"JOB_ENDING", at(EventKind::kJobEnding)},
                             {"JOB_ENDED", at(EventKind::kJobEnded)},
                             {"JOB_FENCED", at(EventKind::kJobFenced)},
                             {"JOB_DATA_LOSS", at(EventKind::kJobDataLoss)},
                             {"REPLICA_MISSING", at(EventKind::kReplicaMissing)},
                             {"REPLICA_BROKEN", at(EventKind::kReplicaBroken)},
                             {"JOB_PURGED", at(EventKind::kJobPurged)},
                             {"SUBSCRIBER_OPEN", at(EventKind::kSubscriberOpen)},
                             {"SUBSCRIBER_FRAMES", at(EventKind::kSubscriberFrames)},
                             {"SUBSCRIBER_WHOLE", at(EventKind::kSubscriberWhole)},
                             {"SUBSCRIBER_EVENTS", at(EventKind::kSubscriberEvents)},
                             {"SUBSCRIBER_END", at(EventKind::kSubscriberEnd)},
                             {"RELAY_END", at(EventKind::kRelayEnd)},
                             {"RELAY_TAKEN", at(EventKind::kRelayTaken)},
                             {"RELAY_OVER", at(EventKind::kRelayOver)},
                             {"REPLY", at(EventKind::kReply)},
                             {"STORE_WRITTEN", at(EventKind::kStoreWritten)},
                             {"GRAPH_STARTED", at(EventKind::kGraphStarted)},
                             {"GRAPH_RETRYING", at(EventKind::kGraphRetrying)},
                             {"GRAPH_COMPLETED", at(EventKind::kGraphCompleted)},
                             {"GRAPH_FAILED", at(EventKind::kGraphFailed)},
                             {"GRAPH_SKIPPED", at(EventKind::kGraphSkipped)},
                             {"GRAPH_ENDED", at(EventKind::kGraphEnded)},
                             {"REDIS_STATE", at(EventKind::kRedisState)},
                             {"REDIS_BEAT", at(EventKind::kRedisBeat)},
                             {"REDIS_SERVER", at(EventKind::kRedisServer)},
                             {"REDIS_SUBSCRIBED", at(EventKind::kRedisSubscribed)},
                             {"REDIS_MESSAGE", at(EventKind::kRedisMessage)}});
}

Napi::Object entry_kinds(Napi::Env env) {
  return named_numbers(env, {{"text", number_of(EntryKind::kText)},
                             {"reasoning", number_of(EntryKind::kReasoning)},
                             {"refusal", number_of(EntryKind::kRefusal)},
                             {"tool_call", number_of(EntryKind::kToolCall)},
                             {"tool_arguments", number_of(EntryKind::kToolArguments)},
                             {"extra", number_of(EntryKind::kExtra)}});
}

Napi::Object crawl_failures(Napi::Env env) {
  return named_numbers(env, {{"THROTTLED", number_of(CrawlFailure::kThrottled)},
                             {"UNREACHABLE", number_of(CrawlFailure::kUnreachable)},
                             {"BROKEN", number_of(CrawlFailure::kBroken)},
                             {"TIMED_OUT", number_of(CrawlFailure::kTimedOut)},
                             {"FORBIDDEN", number_of(CrawlFailure::kForbidden)}});
}

Napi::Object kv_statuses(Napi::Env env) {
  return named_numbers(env, {{"CONFLICT", number_of(KvStatus::kConflict)},
                             {"KEY_TOO_LONG", number_of(KvStatus::kKeyTooLong)},
                             {"VALUE_TOO_LONG", number_of(KvStatus::kValueTooLong)},
                             {"KEYS_FULL", number_of(KvStatus::kKeysFull)},
                             {"BYTES_FULL", number_of(KvStatus::kBytesFull)},
                             {"PINNED_FULL", number_of(KvStatus::kPinnedFull)},
                             {"SHARE_KEYS_FULL", number_of(KvStatus::kShareKeysFull)},
                             {"SHARE_BYTES_FULL", number_of(KvStatus::kShareBytesFull)}});
}

Napi::Object kv_changes(Napi::Env env) {
  return named_numbers(env, {{"set", number_of(KvChange::Kind::kSet)},
                             {"delete", number_of(KvChange::Kind::kDeleted)},
                             {"expire", number_of(KvChange::Kind::kExpired)}});
}

Napi::Object ledger_types(Napi::Env env) {
  const auto at = [](LedgerEventType type) { return number_of(type); };
  return named_numbers(env, {{"open", at(LedgerEventType::kOpen)},
                             {"deposit", at(LedgerEventType::kDeposit)},
                             {"withdraw", at(LedgerEventType::kWithdraw)},
                             {"transfer", at(LedgerEventType::kTransfer)},
                             {"hold", at(LedgerEventType::kHold)},
                             {"settle", at(LedgerEventType::kSettle)},
                             {"void", at(LedgerEventType::kVoid)},
                             {"reverse", at(LedgerEventType::kReverse)},
                             {"schedule", at(LedgerEventType::kSchedule)},
                             {"cancel_scheduled", at(LedgerEventType::kCancelScheduled)},
                             {"hold_expired", at(LedgerEventType::kHoldExpired)},
                             {"schedule_failed", at(LedgerEventType::kScheduleFailed)},
                             {"refused", at(LedgerEventType::kRefused)},
                             {"close", at(LedgerEventType::kClose)}});
}

Napi::Object ledger_codes(Napi::Env env) {
  const auto at = [](LedgerCode code) { return number_of(code); };
  return named_numbers(env, {{"", at(LedgerCode::kOk)},
                             {"ERR_INSUFFICIENT_FUNDS", at(LedgerCode::kInsufficientFunds)},
                             {"ERR_NO_SUCH_ACCOUNT", at(LedgerCode::kNoSuchAccount)},
                             {"ERR_NO_SUCH_EVENT", at(LedgerCode::kNoSuchEvent)},
                             {"ERR_NO_SUCH_HOLD", at(LedgerCode::kNoSuchHold)},
                             {"ERR_NO_SUCH_SCHEDULED", at(LedgerCode::kNoSuchScheduled)},
                             {"ERR_ACCOUNT_EXISTS", at(LedgerCode::kAccountExists)},
                             {"ERR_SAME_ACCOUNT", at(LedgerCode::kSameAccount)},
                             {"ERR_HOLD_EXPIRED", at(LedgerCode::kHoldExpired)},
                             {"ERR_HOLD_CLOSED", at(LedgerCode::kHoldClosed)},
                             {"ERR_EXCEEDS_HOLD", at(LedgerCode::kExceedsHold)},
                             {"ERR_ALREADY_REVERSED", at(LedgerCode::kAlreadyReversed)},
                             {"ERR_NOT_REVERSIBLE", at(LedgerCode::kNotReversible)},
                             {"ERR_ALREADY_EXECUTED", at(LedgerCode::kAlreadyExecuted)},
                             {"ERR_ALREADY_CANCELLED", at(LedgerCode::kAlreadyCancelled)},
                             {"ERR_AMOUNT_OVERFLOW", at(LedgerCode::kAmountOverflow)},
                             {"ERR_IDEMPOTENCY_CONFLICT", at(LedgerCode::kIdempotencyConflict)},
                             {"ERR_ACCOUNT_CLOSED", at(LedgerCode::kAccountClosed)},
                             {"ERR_ACCOUNT_NOT_EMPTY", at(LedgerCode::kAccountNotEmpty)},
                             {"ERR_LINKED_FAILED", at(LedgerCode::kLinkedFailed)}});
}

Napi::Object plan_faults(Napi::Env env) {
  return named_numbers(env, {{"DUPLICATE", number_of(PlanFault::Kind::kDuplicate)},
                             {"UNKNOWN", number_of(PlanFault::Kind::kUnknown)},
                             {"CYCLE", number_of(PlanFault::Kind::kCycle)}});
}

}  // namespace

Napi::Object native_enums(Napi::Env env) {
  Napi::Object enums = Napi::Object::New(env);
  enums.Set("CrawlFailure", crawl_failures(env));
  enums.Set("EntryKind", entry_kinds(env));
  enums.Set("EventKind", event_kinds(env));
  enums.Set("KvChangeKind", kv_changes(env));
  enums.Set("KvStatus", kv_statuses(env));
  enums.Set("LedgerCode", ledger_codes(env));
  enums.Set("LedgerEventType", ledger_types(env));
  enums.Set("PlanFault", plan_faults(env));
  return enums;
}

}  // namespace sluice
