// The interface between a subscriber and the protocol that its client speaks.
#pragma once

#include <cstdint>
#include <string>

#include "core/streams/event_log.h"

namespace sluice {

struct Job;

/// Writes the events of one answer's logs as the frames of another protocol. Its output depends on
/// its options and on the events so far alone, so that a replay gives the same frames. Belongs to
/// one subscriber, on its hub's executor.
class Face {
 public:
  virtual ~Face() = default;
  /// Appends the frames that precede every event; called once, before any event.
  virtual void open(std::string& out) = 0;
  /// Appends the frames of an event (kEntry, kRetry, kTerminal) of the log of `job`. `choice` is
  /// the place of the job among the subscriber's jobs, from 0.
  virtual void write(std::string& out, std::uint32_t choice, const Job& job,
                     const EventLog::Event& event) = 0;
  /// Appends the whole answer as its log is now, as JSON. Does not change the face. Nothing in a
  /// protocol whose whole answers are not made here.
  virtual void write_answer(std::string& /*out*/, const Job& /*job*/) const {}
  /// Appends the bytes that are sent after `heartbeat` of silence.
  virtual void keep_alive(std::string& out) = 0;
};

}  // namespace sluice
