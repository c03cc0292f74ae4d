// A job `j` of process `a`, whose log its journal writes to a Redis.
#pragma once

#include <string>

#include "process.h"

namespace sluice {

class RedisJournalTest : public ReplicationTest {
 protected:
  void SetUp() override { redis_.admit("j", "a"); }

  void create() {
    a_.create(1, "j");
    settle();
  }

  // The ids of a log, and the texts of its entries.
  [[nodiscard]] std::string log(const std::string& id = "j") {
    std::string out;
    for (const auto& [entry, fields] : redis_.log(id)) {
      out.append(out.empty() ? "" : " ").append(to_string(entry));
      for (std::size_t i = 0; i < fields.size(); i += 2) {
        if (fields[i] == "t" || fields[i] == "r") out.append("=").append(fields[i + 1]);
        if (fields[i] == "x") out.append("=end");
      }
    }
    return out;
  }

  [[nodiscard]] std::string field(std::size_t entry, const std::string& name) {
    const auto& fields = redis_.log("j").at(entry).second;
    for (std::size_t i = 0; i < fields.size(); i += 2) {
      if (fields[i] == name) return fields[i + 1];
    }
    return "-";
  }

  void append(const std::string& text) {
    a_.append(1, text);
    settle();
  }

  // The job and its first token.
  void begin() {
    create();
    append("a");
  }

  void finish() {
    a_.finish(1, complete());
    settle();
  }

  // Redis is emptied, and JavaScript writes the hash of the job again.
  void lose(const std::string& status) {
    redis_.hashes.clear();
    redis_.streams.clear();
    redis_.hashes["{t}:job:j"] = {
        {"owner", "a"}, {"attempt", "1"}, {"status", status}, {"created_us", "0"}};
  }

  void reconnect() {
    a_.port.disconnect();
    a_.port.connect();
    settle();
  }
};

}  // namespace sluice
