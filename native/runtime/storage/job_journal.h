// Converts journal changes of jobs to rows of the data file, and rows back to tokens. Plain
// functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/streams/journal.h"
#include "runtime/storage/store_file.h"

namespace sluice {

/// Converts job changes to rows.
/// @param now_ms Unix time, stored as the end time of the jobs that end in `changes`
StoreBatch batch_of(std::vector<JobChange> changes, std::int64_t now_ms);

/// A row of tokens, as store_schema.cc describes its columns.
struct TokenRow {
  std::int64_t seq = 0;
  std::string_view text = {};
  std::string_view ends = {};
  std::string_view kinds = {};
  std::string_view aux = {};
};

/// Appends a row's tokens to `run`. The first row sets the sequence number of the first token.
/// @returns false, with `run` unchanged, for an inconsistent row: a gap in the sequence, offsets
///   beyond the text, kinds or aux data that do not belong to its tokens
bool append_run(TokenRun& run, const TokenRow& row);

}  // namespace sluice
