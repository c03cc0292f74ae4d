// A ledger in the store's tables: its events as rows, and back.
//
// Plain functions; the thread that has the file, or the ledger.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/ledger/ledger.h"
#include "runtime/storage/store_file.h"

namespace sluice {

/// The rows of new events.
StoreBatch batch_of(std::span<const LedgerEvent* const> events);

inline StoreBatch batch_of(const LedgerEvent& event) {
  const LedgerEvent* const only = &event;
  return batch_of({&only, 1});
}

/// The rows of events that Ledger::rename has changed.
StoreBatch batch_of_changed(const std::vector<LedgerEvent>& events);

/// Replays all events of a file into a new ledger. An answer that is not empty says what is wrong
/// with them, in words that go on behind the file's name; the ledger is of no use then.
std::string load_ledger(StoreFile& file, Ledger& ledger);

}  // namespace sluice
