#include "core/redis/failure.h"

#include <array>

#include "core/base/ascii.h"
#include "core/base/name_table.h"

namespace sluice::redis {

namespace {

constexpr ErrorMeaning kNothing{};
constexpr ErrorMeaning kFull{State::kFull, false};
constexpr ErrorMeaning kNoWrites{State::kReadonly, false};
constexpr ErrorMeaning kNoMaster{State::kReadonly, true};
constexpr ErrorMeaning kBusy{State::kUnreachable, false};
constexpr ErrorMeaning kAway{State::kUnreachable, true};
constexpr ErrorMeaning kForbidden{State::kRefused, false};
constexpr ErrorMeaning kLockedOut{State::kRefused, true};

constexpr NameTable kMeanings(std::to_array<NamedValue<ErrorMeaning>>({
    {"OOM", kFull},
    {"MISCONF", kNoWrites},
    {"NOREPLICAS", kNoWrites},
    {"READONLY", kNoMaster},
    {"MASTERDOWN", kAway},
    {"LOADING", kAway},
    {"BUSY", kBusy},
    {"CLUSTERDOWN", kBusy},
    {"NOPERM", kForbidden},
    {"MOVED", kForbidden},
    {"ASK", kForbidden},
    {"CROSSSLOT", kForbidden},
    {"NOAUTH", kLockedOut},
    {"WRONGPASS", kLockedOut},
    {"DENIED", kLockedOut},
}));

// Redis 6.2 wraps what a script ran into: "ERR Error running script (call to f_SHA):
// @user_script:3: @user_script: 3: -OOM command not allowed ...".
std::string_view inner_error(std::string_view error) {
  constexpr std::string_view kWrapper = "ERR Error running script";
  constexpr std::string_view kPlace = "@user_script:";
  if (!error.starts_with(kWrapper)) return error;
  const std::size_t at = error.rfind(kPlace);
  if (at == std::string_view::npos) return error;
  std::string_view inner = error.substr(at + kPlace.size());
  while (!inner.empty() && !is_letter(inner.front())) inner.remove_prefix(1);
  return inner;
}

}  // namespace

std::string_view name_of(State state) {
  switch (state) {
    case State::kConnecting:
      return "connecting";
    case State::kOk:
      return "ok";
    case State::kUnreachable:
      return "unreachable";
    case State::kReadonly:
      return "readonly";
    case State::kFull:
      return "full";
    case State::kRefused:
      return "refused";
  }
  return {};
}

ErrorMeaning meaning_of(std::string_view error) {
  const std::string_view inner = inner_error(error);
  if (inner.starts_with("ERR unknown command")) return kForbidden;
  // Of a script; Redis 6.2 has no "ERR" before it.
  if (inner.find("The user executing the script can't") <= std::string_view("ERR ").size()) {
    return kForbidden;
  }
  if (inner.starts_with("ERR max number of clients reached")) return kAway;
  return kMeanings.find(inner.substr(0, inner.find(' ')), kNothing);
}

}  // namespace sluice::redis
