#include "addon/bindings/streams/face_arguments.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sluice {

namespace {

FaceOptions::Dialect dialect_from(std::string_view name) {
  using Dialect = FaceOptions::Dialect;
  if (name == "chat") return Dialect::kChat;
  if (name == "completions") return Dialect::kCompletions;
  if (name == "responses") return Dialect::kResponses;
  if (name == "ui") return Dialect::kUi;
  return name == "messages" ? Dialect::kMessages : Dialect::kNone;
}

}  // namespace

FaceOptions FromJs<FaceOptions>::read(napi_env env, napi_value value) {
  FaceOptions options;
  if (!is_object(env, value)) return options;
  const Members given(env, value);
  options.dialect = dialect_from(given.get<std::string>("dialect"));
  options.id = given.get<std::string>("id");
  options.tail = given.get<std::string>("tail");
  options.model = given.get<std::string>("model");
  options.created = given.get<std::uint64_t>("created");
  options.envelope = given.get<std::string>("envelope");
  options.choices = std::max(given.get<std::uint32_t>("choices"), std::uint32_t{1});
  options.choices_per_prompt = given.get<std::uint32_t>("choicesPerPrompt");
  options.include_usage = given.get<bool>("includeUsage");
  auto reasoning_field = given.get<std::string>("reasoningField");
  if (!reasoning_field.empty()) options.reasoning_field = std::move(reasoning_field);
  options.reasoning_summary = given.get<bool>("reasoningSummary");
  options.background = given.get<bool>("background");
  options.after = given.get<std::uint64_t>("after");
  return options;
}

}  // namespace sluice
