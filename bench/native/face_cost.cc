// The cost of an entry in each protocol: one append to a log, and its frame for one reader, without
// a socket. Usage: face_cost ENTRIES. Prints one line of JSON: nanoseconds of CPU and bytes per
// entry, by protocol.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "core/faces/face_options.h"
#include "core/streams/hub.h"

namespace sluice {
namespace {

using Dialect = FaceOptions::Dialect;

constexpr JobHandle kJob = 1;
constexpr SubscriberHandle kReader = 2;

struct Protocol {
  const char* name;
  Dialect dialect;
};

constexpr std::array kProtocols = {
    Protocol{"native", Dialect::kNone},
    Protocol{"chat", Dialect::kChat},
    Protocol{"completions", Dialect::kCompletions},
    Protocol{"responses", Dialect::kResponses},
    Protocol{"ui", Dialect::kUi},
    Protocol{"messages", Dialect::kMessages},
};

class Observer final : public HubObserver {
 public:
  std::uint64_t bytes = 0;
  bool has_batch = false;

  void on_window(JobHandle, std::uint64_t) override {}
  void on_ended(JobHandle, std::string) override {}
  void on_purged(JobHandle) override {}
  void on_subscriber_open(SubscriberHandle, bool) override {}
  bool on_batch(SubscriberHandle, Subscriber::Batch& batch) override {
    bytes += batch.frames.size();
    has_batch = true;
    return false;
  }
  void on_subscriber_end(SubscriberHandle, std::string_view) override {}
};

double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void measure(const Protocol& protocol, int entries) {
  Observer observer;
  JobHub hub({}, observer);
  Nanos now = 1;
  JobOptions job;
  job.job_id = "job_0123456789abcdefghijklmn";
  hub.create(kJob, job, now);
  hub.start(kJob, {}, now);
  FaceOptions face;
  face.dialect = protocol.dialect;
  face.id = "chatcmpl-0123456789abcdefghijklmn";
  face.tail = "0123456789abcdefghijklmn";
  face.model = "a-model-of-some-size";
  face.created = 1700000000;
  hub.attach(kReader, Subscriber::Mode::kFrames, false, {{kJob, ""}}, now, make_face(face));
  const auto deliver = [&] {
    hub.advance(now);
    if (!std::exchange(observer.has_batch, false)) return;
    hub.acknowledge(kReader, now);
  };
  hub.acknowledge(kReader, now);  // the head has left
  deliver();
  const double begun = cpu_ns();
  const std::uint64_t bytes_before = observer.bytes;
  for (int i = 0; i < entries; ++i) {
    now += kMicrosecond;
    hub.append(kJob, " token", now);
    deliver();
  }
  const double spent = cpu_ns() - begun;
  std::printf("%s\"%s\":{\"ns\":%.1f,\"bytes\":%.1f}",
              protocol.dialect == Dialect::kNone ? "" : ",", protocol.name, spent / entries,
              static_cast<double>(observer.bytes - bytes_before) / entries);
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  const int entries = argc == 2 ? std::atoi(argv[1]) : 0;
  if (entries <= 0) {
    std::fprintf(stderr, "usage: face_cost ENTRIES\n");
    return 2;
  }
  std::printf("{");
  for (const sluice::Protocol& protocol : sluice::kProtocols) sluice::measure(protocol, entries);
  std::printf("}\n");
}
