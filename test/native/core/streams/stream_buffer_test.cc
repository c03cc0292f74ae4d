// StreamBuffer's rules one at a time, on one thread.
#include "core/streams/stream_buffer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice {
namespace {

using Buffer = StreamBuffer<std::string>;

class StreamBufferTest : public ::testing::Test {
 protected:
  Buffer buffer{2};
  std::vector<Ticket> turns;  // tickets in the order of their notifications

  auto note() {
    return [this](Ticket ticket) { turns.push_back(ticket); };
  }
  BufferStatus put(const std::string& chunk) { return buffer.write(chunk, note()).status; }
  Ticket put_waiting(const std::string& chunk) {
    const auto result = buffer.write(chunk, note());
    EXPECT_EQ(result.status, BufferStatus::kWaiting);
    return result.ticket;
  }
  std::string get() {
    const auto result = buffer.read(note());
    EXPECT_EQ(result.status, BufferStatus::kDone);
    return result.chunk;
  }
  Ticket get_waiting() {
    const auto result = buffer.read(note());
    EXPECT_EQ(result.status, BufferStatus::kWaiting);
    return result.ticket;
  }
  std::string claimed(Ticket ticket) {
    const auto result = buffer.claim_read(ticket);
    EXPECT_EQ(result.status, BufferStatus::kDone);
    return result.chunk;
  }
};

using Tickets = std::vector<Ticket>;

TEST_F(StreamBufferTest, HandsChunksOnInOrderTheEmptyOneToo) {
  EXPECT_EQ(put(""), BufferStatus::kDone);
  EXPECT_EQ(put("b"), BufferStatus::kDone);
  EXPECT_EQ(buffer.size(), 2u);
  EXPECT_EQ(get(), "");
  EXPECT_EQ(get(), "b");
  EXPECT_EQ(buffer.size(), 0u);
}

TEST_F(StreamBufferTest, WritersWaitWhileFullAndAreServedInOrder) {
  put("a");
  put("b");
  const Ticket c = put_waiting("c");
  const Ticket d = put_waiting("d");
  EXPECT_EQ(buffer.claim_write(c), BufferStatus::kWaiting);
  EXPECT_EQ(buffer.size(), 2u);
  EXPECT_EQ(get(), "a");
  EXPECT_EQ(turns, Tickets{c});
  EXPECT_EQ(buffer.claim_write(c), BufferStatus::kDone);
  EXPECT_EQ(get(), "b");
  EXPECT_EQ(buffer.claim_write(d), BufferStatus::kDone);
  EXPECT_EQ(get(), "c");
  EXPECT_EQ(get(), "d");
}

TEST_F(StreamBufferTest, ReadersCompeteFirstComeFirstServed) {
  const Ticket first = get_waiting();
  const Ticket second = get_waiting();
  put("a");
  EXPECT_EQ(turns, Tickets{first});
  EXPECT_EQ(buffer.size(), 0u) << "a reader in line is about to take it";
  put("b");
  EXPECT_EQ(turns, (Tickets{first, second}));
  EXPECT_EQ(claimed(first), "a");
  EXPECT_EQ(claimed(second), "b");
}

TEST_F(StreamBufferTest, ChunksLeaveInTheOrderOfTheClaims) {
  const Ticket first = get_waiting();
  const Ticket second = get_waiting();
  put("a");
  put("b");
  // The second reader is faster: if it received "b", an abort of the first would pass it "a" next.
  EXPECT_EQ(claimed(second), "a");
  EXPECT_EQ(claimed(first), "b");
}

TEST_F(StreamBufferTest, ANewReaderDoesNotOvertakeOneThatHasNotClaimedYet) {
  const Ticket first = get_waiting();
  put("a");
  put("b");
  const Ticket second = get_waiting();
  EXPECT_EQ(turns, (Tickets{first, second}));
  EXPECT_EQ(claimed(first), "a");
  EXPECT_EQ(claimed(second), "b");
}

TEST_F(StreamBufferTest, AbortOfTheChosenReaderPassesTheChunkOn) {
  const Ticket first = get_waiting();
  const Ticket second = get_waiting();
  put("a");
  EXPECT_TRUE(buffer.abort(first));
  EXPECT_EQ(turns, (Tickets{first, second}));
  EXPECT_EQ(buffer.claim_read(first).status, BufferStatus::kWaiting) << "its ticket is spent";
  EXPECT_EQ(claimed(second), "a");
}

TEST_F(StreamBufferTest, AbortOfTheOnlyChosenReaderLeavesTheChunkFirstInTheBuffer) {
  const Ticket reader = get_waiting();
  put("a");
  put("b");
  EXPECT_TRUE(buffer.abort(reader));
  EXPECT_EQ(buffer.size(), 2u);
  EXPECT_EQ(get(), "a");
  EXPECT_EQ(get(), "b");
}

TEST_F(StreamBufferTest, AnAbortAmongChosenReadersMovesTheOthersUp) {
  const Ticket first = get_waiting();
  const Ticket second = get_waiting();
  const Ticket third = get_waiting();
  put("a");
  put("b");
  EXPECT_TRUE(buffer.abort(first));
  EXPECT_EQ(claimed(second), "a");
  EXPECT_EQ(claimed(third), "b");
}

TEST_F(StreamBufferTest, TwoWritersWaitOnOneSlotAndTheFirstIsAborted) {
  put("a");
  put("b");
  const Ticket c = put_waiting("c");
  const Ticket d = put_waiting("d");
  EXPECT_TRUE(buffer.abort(c));
  EXPECT_EQ(get(), "a");
  EXPECT_EQ(turns, Tickets{d});
  EXPECT_EQ(buffer.claim_write(d), BufferStatus::kDone);
  EXPECT_EQ(get(), "b");
  EXPECT_EQ(get(), "d");
  EXPECT_EQ(buffer.size(), 0u);
}

TEST_F(StreamBufferTest, AbortOfTheChosenWriterPassesItsPlaceOnAndLeavesNoChunk) {
  put("a");
  put("b");
  const Ticket c = put_waiting("c");
  const Ticket d = put_waiting("d");
  EXPECT_EQ(get(), "a");
  EXPECT_TRUE(buffer.abort(c));
  EXPECT_EQ(turns, (Tickets{c, d}));
  EXPECT_EQ(buffer.claim_write(c), BufferStatus::kWaiting);
  EXPECT_EQ(buffer.claim_write(d), BufferStatus::kDone);
  EXPECT_EQ(get(), "b");
  EXPECT_EQ(get(), "d");
}

TEST_F(StreamBufferTest, AWriterWhoseChunkWasReadCannotBeAborted) {
  put("a");
  put("b");
  const Ticket c = put_waiting("c");
  EXPECT_EQ(get(), "a");
  EXPECT_EQ(get(), "b");
  EXPECT_EQ(get(), "c");
  EXPECT_FALSE(buffer.abort(c));
  EXPECT_EQ(buffer.claim_write(c), BufferStatus::kDone);
  EXPECT_FALSE(buffer.abort(c));
}

TEST_F(StreamBufferTest, AReaderNotifiedOfAWithdrawnChunkWaitsAgain) {
  Buffer one(1);
  EXPECT_EQ(one.write("a", note()).status, BufferStatus::kDone);
  const Ticket writer = one.write("b", note()).ticket;
  EXPECT_EQ(one.read(note()).chunk, "a");
  const auto reader = one.read(note());  // takes b, still unclaimed by its writer
  EXPECT_EQ(reader.status, BufferStatus::kDone);
  EXPECT_EQ(one.claim_write(writer), BufferStatus::kDone);

  const Ticket first = one.read(note()).ticket;
  const Ticket second = one.read(note()).ticket;
  one.write("c", note());
  const Ticket d = one.write("d", note()).ticket;
  EXPECT_EQ(one.claim_read(first).chunk, "c");  // d is stored now, and second is notified
  turns.clear();
  EXPECT_TRUE(one.abort(d));
  EXPECT_EQ(one.claim_read(second).status, BufferStatus::kWaiting);
  one.write("e", note());
  EXPECT_EQ(turns, Tickets{second});
  EXPECT_EQ(one.claim_read(second).chunk, "e");
}

TEST_F(StreamBufferTest, CloseRefusesWritersAndLeavesNoChunkOfTheWaitingOnes) {
  put("a");
  put("b");
  const Ticket c = put_waiting("c");
  buffer.close();
  EXPECT_TRUE(buffer.closed());
  EXPECT_EQ(turns, Tickets{c});
  EXPECT_FALSE(buffer.abort(c));
  EXPECT_EQ(buffer.claim_write(c), BufferStatus::kClosed);
  EXPECT_EQ(put("d"), BufferStatus::kClosed);
  EXPECT_EQ(get(), "a");
  EXPECT_EQ(get(), "b");
  for (int again = 0; again < 3; ++again) {
    EXPECT_EQ(buffer.read(note()).status, BufferStatus::kClosed);
  }
  buffer.close();
}

TEST_F(StreamBufferTest, CloseKeepsTheChunkOfAWriterWhoseTurnHasCome) {
  put("a");
  put("b");
  const Ticket c = put_waiting("c");
  EXPECT_EQ(get(), "a");
  buffer.close();
  EXPECT_EQ(buffer.claim_write(c), BufferStatus::kDone);
  EXPECT_EQ(get(), "b");
  EXPECT_EQ(get(), "c");
}

TEST_F(StreamBufferTest, OneCloseReleasesFiftyReaders) {
  Tickets readers;
  for (int i = 0; i < 50; ++i) readers.push_back(get_waiting());
  buffer.close();
  EXPECT_EQ(turns, readers);
  for (const Ticket reader : readers) {
    EXPECT_EQ(buffer.claim_read(reader).status, BufferStatus::kClosed);
  }
}

TEST_F(StreamBufferTest, AReaderChosenBeforeCloseStillGetsItsChunk) {
  const Ticket first = get_waiting();
  const Ticket second = get_waiting();
  put("a");
  buffer.close();
  EXPECT_EQ(claimed(first), "a");
  EXPECT_EQ(buffer.claim_read(second).status, BufferStatus::kClosed);
}

TEST_F(StreamBufferTest, AnAbortAfterCloseStillPassesTheChunkOn) {
  const Ticket first = get_waiting();
  const Ticket second = get_waiting();
  put("a");
  buffer.close();
  EXPECT_TRUE(buffer.abort(first));
  EXPECT_EQ(claimed(second), "a");
}

TEST_F(StreamBufferTest, UnknownTicketsDoNothing) {
  EXPECT_FALSE(buffer.abort(0));
  EXPECT_FALSE(buffer.abort(77));
  EXPECT_EQ(buffer.claim_write(77), BufferStatus::kWaiting);
  EXPECT_EQ(buffer.claim_read(77).status, BufferStatus::kWaiting);
}

TEST_F(StreamBufferTest, TryWriteAndTryReadNeitherWaitNorOvertake) {
  EXPECT_EQ(buffer.try_read().status, BufferStatus::kWaiting);
  EXPECT_EQ(buffer.try_write("a"), BufferStatus::kDone);
  EXPECT_EQ(buffer.try_write("b"), BufferStatus::kDone);
  EXPECT_EQ(buffer.try_write("c"), BufferStatus::kWaiting);
  const Ticket d = put_waiting("d");
  EXPECT_EQ(buffer.try_read().chunk, "a");
  EXPECT_EQ(turns, Tickets{d});
  EXPECT_EQ(buffer.try_write("e"), BufferStatus::kWaiting);
  EXPECT_EQ(buffer.claim_write(d), BufferStatus::kDone);
  EXPECT_EQ(buffer.try_read().chunk, "b");
  EXPECT_EQ(buffer.try_read().chunk, "d");
  const Ticket reader = get_waiting();
  EXPECT_EQ(buffer.try_write("f"), BufferStatus::kDone);
  EXPECT_EQ(buffer.try_read().status, BufferStatus::kWaiting);
  EXPECT_EQ(claimed(reader), "f");
  EXPECT_EQ(buffer.size(), 0u);
}

TEST_F(StreamBufferTest, TryReadDrainsAClosedBuffer) {
  buffer.try_write("a");
  buffer.close();
  EXPECT_EQ(buffer.try_write("b"), BufferStatus::kClosed);
  EXPECT_EQ(buffer.try_read().chunk, "a");
  EXPECT_EQ(buffer.try_read().status, BufferStatus::kClosed);
  EXPECT_EQ(buffer.try_read().status, BufferStatus::kClosed);
}

}  // namespace
}  // namespace sluice
