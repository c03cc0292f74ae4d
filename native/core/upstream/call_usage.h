// The token counts of an upstream call. Any thread; plain functions.
#pragma once

#include <string>
#include <string_view>

#include "core/streams/event_log.h"
#include "core/upstream/openai/payload.h"

namespace sluice {

/// The usage of a call by the upstream's counts. A count that is missing follows from the others,
/// or else comes from `estimate`. Without any count it is the estimate.
/// @param members the other members of the upstream's usage object, see OpenAiSink::on_usage
Usage complete_usage(const TokenUsage& sent, std::string_view members, const Usage& estimate);

}  // namespace sluice
