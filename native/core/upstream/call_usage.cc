#include "core/upstream/call_usage.h"

#include <cstdint>
#include <optional>

#include "core/base/json_writer.h"

namespace sluice {
namespace {

std::string to_json(const Usage& usage, std::uint64_t total, std::string_view members) {
  std::string out = "{\"prompt_tokens\":";
  append_json_number(out, usage.prompt_tokens);
  out.append(",\"completion_tokens\":");
  append_json_number(out, usage.completion_tokens);
  out.append(",\"total_tokens\":");
  append_json_number(out, total);
  if (usage.estimated) out.append(",\"estimated\":true");
  if (!members.empty()) out.append(",").append(members);
  out.push_back('}');
  return out;
}

}  // namespace

Usage complete_usage(const TokenUsage& sent, std::string_view members, const Usage& estimate) {
  Usage usage = estimate;
  usage.estimated = true;
  if (!sent.has_counts()) return usage;
  std::optional<std::uint64_t> prompt = sent.prompt_tokens;
  std::optional<std::uint64_t> completion = sent.completion_tokens;
  const auto rest_of = [&sent](const std::optional<std::uint64_t>& known) {
    std::optional<std::uint64_t> rest;
    if (sent.total_tokens && known && *known <= *sent.total_tokens) {
      rest = *sent.total_tokens - *known;
    }
    return rest;
  };
  if (!completion) completion = rest_of(prompt);
  if (!prompt) prompt = rest_of(completion);
  usage.estimated = !prompt || !completion || sent.is_estimated;
  usage.prompt_tokens = prompt.value_or(usage.prompt_tokens);
  usage.completion_tokens = completion.value_or(usage.completion_tokens);
  const std::uint64_t sum = usage.prompt_tokens + usage.completion_tokens;
  usage.raw = to_json(usage, sent.total_tokens.value_or(sum), members);
  return usage;
}

}  // namespace sluice
