// StreamBuffer under many threads; meant to be run under ThreadSanitizer as well.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "core/streams/stream_buffer.h"
#include "core/streams/stream_buffer_blocking.h"

namespace sluice {
namespace {

using NumberBuffer = StreamBuffer<std::uint64_t>;

// A chunk names its writer and its place in that writer's sequence.
std::uint64_t chunk_of(std::uint64_t writer, std::uint64_t sequence) {
  return writer << 32 | sequence;
}

struct Received {
  std::vector<std::vector<std::uint64_t>> by_writer;  // sequences in the order received
};

Received read_all(NumberBuffer& buffer, std::size_t writers) {
  Received received{std::vector<std::vector<std::uint64_t>>(writers)};
  while (const auto chunk = read_blocking(buffer)) {
    received.by_writer[*chunk >> 32].push_back(*chunk & 0xffffffffu);
  }
  return received;
}

void expect_ascending(const std::vector<std::uint64_t>& sequences) {
  for (std::size_t i = 1; i < sequences.size(); ++i) {
    ASSERT_LT(sequences[i - 1], sequences[i]) << "one writer's chunks overtook each other";
  }
}

// Checks that every reader saw each writer's chunks in order and that, over all readers, chunk
// `sequence` of a writer arrived exactly once if `stored[writer][sequence]`, else never.
void expect_exactly(const std::vector<Received>& readers,
                    const std::vector<std::vector<char>>& stored) {
  for (std::size_t writer = 0; writer < stored.size(); ++writer) {
    std::vector<char> seen(stored[writer].size(), 0);
    for (const Received& reader : readers) {
      expect_ascending(reader.by_writer[writer]);
      for (const std::uint64_t sequence : reader.by_writer[writer]) {
        ASSERT_EQ(seen.at(sequence), 0) << "delivered twice";
        seen[sequence] = 1;
      }
    }
    ASSERT_EQ(seen, stored[writer]) << "writer " << writer;
  }
}

TEST(StreamBufferStress, EightWritersEightReadersTakeEachChunkOnce) {
  constexpr std::size_t kThreads = 8;
  constexpr std::uint64_t kPerWriter = 25'000;
  NumberBuffer buffer(64);
  std::vector<Received> received(kThreads);
  std::vector<std::thread> readers;
  std::vector<std::thread> writers;
  for (std::size_t r = 0; r < kThreads; ++r) {
    readers.emplace_back([&, r] { received[r] = read_all(buffer, kThreads); });
  }
  std::atomic<int> refused{0};
  for (std::size_t w = 0; w < kThreads; ++w) {
    writers.emplace_back([&, w] {
      for (std::uint64_t i = 0; i < kPerWriter; ++i) {
        if (!write_blocking(buffer, chunk_of(w, i))) ++refused;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  buffer.close();
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(refused, 0);
  expect_exactly(received, {kThreads, std::vector<char>(kPerWriter, 1)});
}

TEST(StreamBufferStress, CloseAgainstWritesStoresExactlyTheAcknowledgedChunks) {
  constexpr std::size_t kThreads = 4;
  constexpr std::uint64_t kPerWriter = 500;
  for (std::uint64_t round = 0; round < 50; ++round) {
    NumberBuffer buffer(3);
    std::vector<std::vector<char>> stored(kThreads, std::vector<char>(kPerWriter, 0));
    std::vector<Received> received(kThreads);
    std::atomic<std::uint64_t> written{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] { received[t] = read_all(buffer, kThreads); });
      threads.emplace_back([&, t] {
        for (std::uint64_t i = 0; i < kPerWriter; ++i) {
          if (!write_blocking(buffer, chunk_of(t, i))) break;
          stored[t][i] = 1;
          ++written;
        }
      });
    }
    // Closes at another moment each round, always during writes.
    while (written < round * 20) std::this_thread::yield();
    buffer.close();
    for (std::thread& thread : threads) thread.join();
    expect_exactly(received, stored);
  }
}

// Reads and writes aborted at random moments: an aborted read must lose no chunk, an
// aborted write must store none.
TEST(StreamBufferStress, AbortAgainstHandOverLosesAndDoublesNothing) {
  constexpr std::size_t kThreads = 4;
  constexpr std::uint64_t kPerWriter = 5'000;
  NumberBuffer buffer(2);
  std::vector<std::vector<char>> stored(kThreads, std::vector<char>(kPerWriter, 0));
  std::vector<Received> received(kThreads);
  std::atomic<std::uint64_t> aborted{0};
  std::vector<std::thread> readers;
  std::vector<std::thread> writers;
  for (std::size_t t = 0; t < kThreads; ++t) {
    readers.emplace_back([&, t] {
      received[t].by_writer.resize(kThreads);
      for (std::uint64_t turn = 0;; ++turn) {
        const auto gate = std::make_shared<TurnGate>();
        auto result = buffer.read([gate](Ticket) { gate->tell(); });
        const Ticket ticket = result.ticket;
        if (result.status == BufferStatus::kWaiting && turn % 3 == 0) {
          if (turn % 2 == 0) std::this_thread::yield();
          if (buffer.abort(ticket)) {
            ++aborted;
            continue;
          }
        }
        while (result.status == BufferStatus::kWaiting) {
          gate->wait();
          result = buffer.claim_read(ticket);
        }
        if (result.status == BufferStatus::kClosed) return;
        received[t].by_writer[result.chunk >> 32].push_back(result.chunk & 0xffffffffu);
      }
    });
    writers.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < kPerWriter; ++i) {
        const auto gate = std::make_shared<TurnGate>();
        const auto written = buffer.write(chunk_of(t, i), [gate](Ticket) { gate->tell(); });
        BufferStatus status = written.status;
        if (status == BufferStatus::kWaiting && i % 5 == 0) {
          if (i % 2 == 0) std::this_thread::yield();
          if (buffer.abort(written.ticket)) {
            ++aborted;
            continue;
          }
        }
        while (status == BufferStatus::kWaiting) {
          gate->wait();
          status = buffer.claim_write(written.ticket);
        }
        stored[t][i] = 1;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  buffer.close();
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(aborted, 0u);
  expect_exactly(received, stored);
}

}  // namespace
}  // namespace sluice
