// The table of known answers of upstreams, test/support/upstream/answers.json.
#pragma once

#include <rapidjson/document.h>
#include <rapidjson/istreamwrapper.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace sluice {

inline rapidjson::Document read_table() {
  const auto folder = std::filesystem::path(__FILE__).parent_path();
  std::ifstream file(folder / "../../../support/upstream/answers.json");
  rapidjson::IStreamWrapper stream(file);
  rapidjson::Document table;
  table.ParseStream(stream);
  return table;
}

// A member of a row as a string.
inline std::string text_of(const rapidjson::Value& row, const char* name,
                           const char* fallback = "") {
  if (!row.HasMember(name)) return fallback;
  return {row[name].GetString(), row[name].GetStringLength()};
}

}  // namespace sluice
