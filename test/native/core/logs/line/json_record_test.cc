// The fields of JSON lines: what counts as whole.
#include "core/logs/line/json_record.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice {
namespace {

using namespace std::string_view_literals;

bool is_whole(std::string_view line) {
  LogRecordReader reader;
  return reader.read(line, {}).well_formed;
}

TEST(LogRecordReader, ARecordIsOneObjectAndNothingBehindIt) {
  EXPECT_TRUE(is_whole("{}"));
  EXPECT_TRUE(is_whole(" {\"msg\":\"a\"} \t"));
  EXPECT_FALSE(is_whole("{\"msg\":\"a\"} x"));
  EXPECT_FALSE(is_whole("{\"msg\":\"a\"}{}"));
  EXPECT_FALSE(is_whole("{\"msg\":\"a\"}\0"sv));
  EXPECT_FALSE(is_whole("{\"msg\":\"a\"}\0 and more"sv));
  EXPECT_FALSE(is_whole("{\"msg\":\"a\""));
  EXPECT_FALSE(is_whole("[]"));
  EXPECT_FALSE(is_whole(""));
}

TEST(LogRecordReader, TheFieldsBeforeAMistakeCount) {
  LogRecordReader reader;
  const LogRecord record = reader.read("{\"level\":\"error\",\"msg\":\"failed\"}\0x"sv, {});
  EXPECT_EQ(record.level, LogLevel::kError);
  EXPECT_EQ(record.message, "failed");
}

}  // namespace
}  // namespace sluice
