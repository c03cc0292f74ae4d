// Finish reasons of OpenAI-style servers. Any thread; plain functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

/// How a choice ended.
enum class FinishReason : std::uint8_t {
  kStop,
  kLength,
  kToolCalls,
  kContentFilter,
  kFailed,  ///< The upstream failed, or sent an unknown reason; see the raw one.
};

/// The reason of a completed job (`stop`, `length`, ...); empty for kFailed.
std::string_view name_of(FinishReason reason);

/// The reason that `raw` stands for, in any case.
FinishReason classify_finish_reason(std::string_view raw);

/// Whether `raw` is the string "null". Some servers send it with every chunk, so it is an end only
/// where nothing else is.
bool is_null_reason(std::string_view raw);

}  // namespace sluice
