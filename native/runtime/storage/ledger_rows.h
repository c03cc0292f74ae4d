// Converts ledger events to rows of the data file, and loads them back. Plain functions, called by
// the thread that owns the file or the ledger.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/ledger/ledger.h"
#include "runtime/storage/store_file.h"

namespace sluice {

/// Converts new events to rows.
StoreBatch batch_of(std::span<const LedgerEvent* const> events);

inline StoreBatch batch_of(const LedgerEvent& event) {
  const LedgerEvent* const only = &event;
  return batch_of({&only, 1});
}

/// Converts events that Ledger::rename changed to row updates.
StoreBatch batch_of_changed(const std::vector<LedgerEvent>& events);

/// Replays all events of a file into a new ledger.
/// @returns empty on success; otherwise the fault, worded to follow the file's name in an error
///   message. The ledger must then be discarded.
std::string load_ledger(StoreFile& file, Ledger& ledger);

}  // namespace sluice
