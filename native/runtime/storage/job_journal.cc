#include "runtime/storage/job_journal.h"

#include <utility>

namespace sluice {

namespace {

constexpr std::size_t kOffsetBytes = 4;

std::size_t of(std::string_view name) {
  return statement_at(store_schema().statements, name);
}

StoreValue number(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

StoreValue span(Nanos value) {
  if (value == kNever) return std::monostate{};
  return value;
}

StoreValue text(std::string value) {
  if (value.empty()) return std::monostate{};
  return value;
}

StoreBlob encode(const std::vector<std::uint32_t>& ends) {
  StoreBlob blob;
  blob.bytes.reserve(ends.size() * kOffsetBytes);
  for (const std::uint32_t end : ends) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
      blob.bytes.push_back(static_cast<char>(end >> shift & 0xff));
    }
  }
  return blob;
}

StoreWrite ending_of(JobChange& change, std::int64_t now_ms) {
  Terminal& end = *change.terminal;
  StoreValue prompt;
  StoreValue completion;
  if (end.usage) {
    prompt = number(end.usage->prompt_tokens);
    completion = number(end.usage->completion_tokens);
  }
  return {of("end_job"),
          {number(change.record), number(change.attempt), span(change.spans.started),
           span(change.spans.first_token), span(change.spans.ended), now_ms,
           std::string(status_of(end.kind)), text(std::move(end.reason)),
           text(std::move(end.error_code)), text(std::move(end.error_message)),
           text(std::move(end.error_type)), std::move(prompt), std::move(completion),
           text(std::move(end.details)), number(change.skipped_ids)}};
}

void append_change(StoreBatch& batch, JobChange& change, std::int64_t now_ms) {
  const StoreValue record = number(change.record);
  if (change.dropped) {
    batch.push_back({of("drop_tokens"), {record}});
    batch.push_back({of("drop_job"), {record}});
    return;
  }
  if (change.trims) {
    batch.push_back(
        {of("trim_tokens"), {record, number(change.attempt), number(change.trimmed + 1)}});
  }
  if (const std::size_t count = change.tokens.ends.size(); count > 0) {
    batch.push_back(
        {of("add_tokens"),
         {record, number(change.attempt), number(change.tokens.first_seq), number(count),
          StoreBlob{std::move(change.tokens.text)}, encode(change.tokens.ends)}});
  }
  if (change.terminal) {
    batch.push_back(ending_of(change, now_ms));
  } else if (change.moved) {
    batch.push_back({of("mark_job"),
                     {record, number(change.attempt), span(change.spans.started),
                      span(change.spans.first_token)}});
  }
}

}  // namespace

StoreBatch batch_of(std::vector<JobChange> changes, std::int64_t now_ms) {
  StoreBatch batch;
  for (JobChange& change : changes) append_change(batch, change, now_ms);
  return batch;
}

bool append_run(TokenRun& run, std::int64_t seq, std::string_view text, std::string_view ends) {
  const auto at = static_cast<std::uint64_t>(seq);
  if (seq < 1 || ends.size() % kOffsetBytes != 0) return false;
  if (!run.ends.empty() && run.first_seq + run.ends.size() != at) return false;
  std::vector<std::uint32_t> decoded;
  std::uint32_t last = 0;
  for (std::size_t i = 0; i < ends.size(); i += kOffsetBytes) {
    std::uint32_t end = 0;
    for (std::size_t byte = 0; byte < kOffsetBytes; ++byte) {
      end |= static_cast<std::uint32_t>(static_cast<unsigned char>(ends[i + byte])) << 8 * byte;
    }
    if (end < last || end > text.size()) return false;
    last = end;
    decoded.push_back(end);
  }
  if (last != text.size()) return false;
  if (run.ends.empty()) run.first_seq = at;
  const auto offset = static_cast<std::uint32_t>(run.text.size());
  for (const std::uint32_t end : decoded) run.ends.push_back(offset + end);
  run.text.append(text);
  return true;
}

}  // namespace sluice
