// A job `j` of process `a`, and its replica in process `b`.
#pragma once

#include <string>

#include "process.h"

namespace sluice {

inline constexpr JobHandle kJob = 1;      // at its owner
inline constexpr JobHandle kReplica = 9;  // in another process

class ReplicasTest : public ReplicationTest {
 protected:
  void SetUp() override {
    redis_.admit("j", "a");
    a_.create(kJob, "j");
    settle();
  }

  void append(const std::string& text) {
    a_.append(kJob, text);
    settle();
  }

  // Appends each as an entry of its own.
  void append_all(const std::string& texts) {
    for (const char each : texts) {
      append(std::string(1, each));
      pass(20 * kMillisecond);
    }
  }

  void replicate() {
    b_.replicate(kReplica, "j");
    settle();
  }

  void disconnect() {
    for (Process* process : processes_) process->port.disconnect();
    settle();
  }

  void connect() {
    for (Process* process : processes_) process->port.connect();
    settle();
  }

  [[nodiscard]] std::string text() {
    const std::string state = b_.state(kReplica);
    const std::size_t at = state.find("\"text\":\"");
    if (at == std::string::npos) return "(none)";
    return state.substr(at + 8, state.find('"', at + 8) - at - 8);
  }

  // Ids and types of the frames that a reader of the replica has received.
  [[nodiscard]] std::string read(SubscriberHandle subscriber) {
    const std::string& frames = b_.rec.frames[subscriber];
    std::string out;
    std::size_t at = 0;
    std::string id;
    while (at < frames.size()) {
      const std::size_t end = frames.find('\n', at);
      const std::string line = frames.substr(at, end - at);
      if (line.starts_with("id: ")) id = line.substr(4) + " ";
      if (line.starts_with("event: ")) {
        out.append(out.empty() ? "" : ", ").append(id).append(line.substr(7));
        id.clear();
      }
      at = end + 1;
    }
    return out;
  }

  [[nodiscard]] std::uint64_t catch_ups(CatchUp cause) {
    return b_.replicas().catch_ups()[static_cast<std::size_t>(cause)];
  }
};

}  // namespace sluice
