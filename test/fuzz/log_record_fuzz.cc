// Fuzzes the reader of JSON log lines. The input is a line, made valid UTF-8.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/utf8.h"
#include "core/faces/json_cursor.h"
#include "core/logs/line/json_record.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  std::string scratch;
  Utf8Decoder decoder;
  std::string line(decoder.decode(FuzzInput(data, size).rest(), scratch));
  line.append(decoder.finish());
  LogRecordReader reader;
  for (int round = 0; round < 2; ++round) {
    const LogRecord record = reader.read(line, {.reference_ms = 1'795'233'374'000});
    if (record.well_formed) {
      require(is_json(line), "a well-formed record is JSON");
      require(line.find('{') < line.find_first_not_of(" \t\r\n{"), "and an object");
    }
    for (const std::string_view view : {record.message, record.error, record.content, record.stream,
                                        record.unit, record.process}) {
      require(valid_utf8_prefix(view) == view.size(), "every view is valid UTF-8");
    }
  }
  return 0;
}
