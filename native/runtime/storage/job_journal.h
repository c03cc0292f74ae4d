// Jobs in the store's tables: what a hub wants written, as rows.
//
// Plain functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/streams/journal.h"
#include "runtime/storage/store_file.h"

namespace sluice {

/// The rows that these changes come to.
/// @param now_ms Unix time: when those that have ended are taken to have
StoreBatch batch_of(std::vector<JobChange> changes, std::int64_t now_ms);

/// Adds a row's tokens to those before it; the first one says where they begin. A row that does not
/// fit (a hole, offsets that go beyond the text) is left out, and false is returned.
bool append_run(TokenRun& run, std::int64_t seq, std::string_view text, std::string_view ends);

}  // namespace sluice
