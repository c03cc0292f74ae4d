#include "runtime/storage/job_journal.h"

#include <utility>

#include "core/streams/answer_json.h"

namespace sluice {

namespace {

constexpr std::size_t kNumberBytes = 4;

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

void append_number(std::string& bytes, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<char>(value >> shift & 0xff));
  }
}

// `bytes` has at least `at` plus 4.
std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t byte = 0; byte < kNumberBytes; ++byte) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + byte])) << 8 * byte;
  }
  return value;
}

StoreBlob ends_of(const TokenRun& run) {
  StoreBlob blob;
  blob.bytes.reserve(run.ends.size() * kNumberBytes);
  for (const std::uint32_t end : run.ends) append_number(blob.bytes, end);
  return blob;
}

StoreValue kinds_of(const TokenRun& run) {
  if (run.kinds.empty()) return std::monostate{};
  StoreBlob blob;
  append_number(blob.bytes, run.calls_before);
  blob.bytes.append(run.kinds);
  return blob;
}

StoreValue aux_of(const TokenRun& run) {
  if (run.aux_ends.empty()) return std::monostate{};
  StoreBlob blob;
  std::uint32_t from = 0;
  for (const std::uint32_t end : run.aux_ends) {
    append_number(blob.bytes, end - from);
    blob.bytes.append(run.aux, from, end - from);
    from = end;
  }
  return blob;
}

StoreValue json_of(const std::optional<Usage>& usage) {
  if (!usage) return std::monostate{};
  return usage_json(*usage);
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
          {number(change.record),
           number(change.attempt),
           span(change.spans.started),
           span(change.spans.first_token),
           span(change.spans.ended),
           now_ms,
           std::string(status_of(end.kind)),
           text(std::move(end.reason)),
           text(std::move(end.error_code)),
           text(std::move(end.error_message)),
           text(std::move(end.error_type)),
           std::move(prompt),
           std::move(completion),
           text(std::move(end.details)),
           number(change.skipped_ids),
           json_of(end.usage),
           text(std::move(end.raw_reason)),
           text(head_json(change.head)),
           text(std::move(change.retry_members)),
           number(change.whole ? 1 : 0)}};
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
    batch.push_back({of("add_tokens"),
                     {record, number(change.attempt), number(change.tokens.first_seq),
                      number(count), StoreBlob{std::move(change.tokens.text)},
                      ends_of(change.tokens), kinds_of(change.tokens), aux_of(change.tokens)}});
  }
  if (change.terminal) {
    batch.push_back(ending_of(change, now_ms));
  } else if (change.moved) {
    batch.push_back({of("mark_job"),
                     {record, number(change.attempt), span(change.spans.started),
                      span(change.spans.first_token), text(head_json(change.head)),
                      text(std::move(change.retry_members)), number(change.whole ? 1 : 0)}});
  }
}

constexpr char kPlainText = static_cast<char>(EntryKind::kText);

// Reads text and ends of a row into `run`, which is empty. False if they do not fit.
bool read_texts(const TokenRow& row, TokenRun& run) {
  if (row.ends.size() % kNumberBytes != 0) return false;
  std::uint32_t last = 0;
  for (std::size_t i = 0; i < row.ends.size(); i += kNumberBytes) {
    const std::uint32_t end = number_at(row.ends, i);
    if (end < last || end > row.text.size()) return false;
    run.ends.push_back(last = end);
  }
  return last == row.text.size();
}

// Reads kinds and aux data likewise; after `read_texts`.
bool read_kinds(const TokenRow& row, TokenRun& run) {
  if (row.kinds.empty()) return row.aux.empty();
  if (row.kinds.size() != kNumberBytes + run.ends.size()) return false;
  run.calls_before = number_at(row.kinds, 0);
  run.kinds = row.kinds.substr(kNumberBytes);
  std::string_view aux = row.aux;
  for (const char kind : run.kinds) {
    const int number = static_cast<unsigned char>(kind) & ~TokenRun::kHasAux;
    if (number > static_cast<int>(EntryKind::kExtra)) return false;
    if ((kind & TokenRun::kHasAux) == 0) continue;
    if (aux.size() < kNumberBytes) return false;
    const std::uint32_t bytes = number_at(aux, 0);
    aux.remove_prefix(kNumberBytes);
    if (aux.size() < bytes) return false;
    run.aux.append(aux.substr(0, bytes));
    run.aux_ends.push_back(static_cast<std::uint32_t>(run.aux.size()));
    aux.remove_prefix(bytes);
  }
  return aux.empty();
}

}  // namespace

StoreBatch batch_of(std::vector<JobChange> changes, std::int64_t now_ms) {
  StoreBatch batch;
  for (JobChange& change : changes) append_change(batch, change, now_ms);
  return batch;
}

bool append_run(TokenRun& run, const TokenRow& row) {
  TokenRun read;
  if (row.seq < 1 || !read_texts(row, read) || !read_kinds(row, read)) return false;
  const auto seq = static_cast<std::uint64_t>(row.seq);
  const std::size_t before = run.ends.size();
  if (before > 0 && run.first_seq + before != seq) return false;
  if (before == 0) run.first_seq = seq;
  const auto text_offset = static_cast<std::uint32_t>(run.text.size());
  for (const std::uint32_t end : read.ends) run.ends.push_back(text_offset + end);
  run.text.append(row.text);
  if (read.kinds.empty() && run.kinds.empty()) return true;
  if (run.kinds.empty()) run.calls_before = read.calls_before;  // no call before it in this run
  run.kinds.resize(before, kPlainText);
  run.kinds.append(read.kinds);
  run.kinds.resize(run.ends.size(), kPlainText);
  const auto aux_offset = static_cast<std::uint32_t>(run.aux.size());
  for (const std::uint32_t end : read.aux_ends) run.aux_ends.push_back(aux_offset + end);
  run.aux.append(read.aux);
  return true;
}

}  // namespace sluice
