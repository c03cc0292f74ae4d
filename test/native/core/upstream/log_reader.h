// Reads the entries and the head of a job's log, for tests of their writers.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/streams/hub.h"

namespace sluice {

/// What a job's log holds.
struct LogContent {
  struct Item {
    EntryKind kind;
    std::string text;
    std::string aux;
    std::uint32_t call;
  };
  std::vector<Item> entries;
  AnswerHead head;
};

/// Copies the events of one log.
class LogReader final : public Face {
 public:
  explicit LogReader(LogContent& content) : content_(content) {}
  void open(std::string&) override {}
  void write(std::string&, std::uint32_t, const Job& job, const EventLog::Event& event) override {
    content_.head = job.log.head();
    if (event.kind != EventLog::EventKind::kEntry) return;
    content_.entries.push_back(
        {event.entry, std::string(event.text), std::string(event.aux), event.call});
  }
  void keep_alive(std::string&) override {}

 private:
  LogContent& content_;
};

/// Reads the log of `job` with a subscriber of this `handle`, which must be new.
inline LogContent read_log(JobHub& hub, JobHandle job, SubscriberHandle handle, Nanos now) {
  LogContent content;
  hub.attach(handle, Subscriber::Mode::kFrames, false, {{job, ""}}, now,
             std::make_unique<LogReader>(content));
  const auto turn = [&] {
    if (hub.next_deadline() <= now) hub.advance(now);
  };
  turn();
  // A face that writes nothing is called for every existing event at its first batch.
  hub.acknowledge(handle, now);
  turn();
  hub.detach(handle, now);
  turn();
  return content;
}

}  // namespace sluice
