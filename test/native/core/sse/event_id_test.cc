#include "core/sse/event_id.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(EventId, ReadsWhatItWrites) {
  for (const EventId id : {EventId{1, 0}, EventId{1, 1}, EventId{12, 9007199254740991}}) {
    EXPECT_EQ(parse_event_id(to_string(id)), id);
  }
  EXPECT_EQ(to_string({2, 17}), "2-17");
}

TEST(EventId, RefusesOtherForms) {
  for (const char* text : {"",
                           "-",
                           "1",
                           "1-",
                           "-1",
                           "1-1-1",
                           "0-1",
                           "01-1",
                           "1-01",
                           "+1-1",
                           "1-+1",
                           " 1-1",
                           "1-1 ",
                           "1_1",
                           "a-b",
                           "1-1\n",
                           "1--1",
                           "0x1-1",
                           "1.0-1",
                           "9007199254740992-1",
                           "99999999999999999999999-1"}) {
    EXPECT_EQ(parse_event_id(text), std::nullopt) << text;
  }
}

TEST(EventId, OrdersByAttemptThenSeq) {
  EXPECT_LT((EventId{1, 9}), (EventId{2, 0}));
  EXPECT_LT((EventId{2, 9}), (EventId{2, 10}));
}

}  // namespace
}  // namespace sluice
