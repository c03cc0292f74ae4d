// Stop strings that the upstream ignores.
#include <string>
#include <vector>

#include "relay_fixture.h"

namespace sluice {
namespace {

TEST_F(RelayTest, TextEndsBeforeAStopStringAndTheTransferIsDropped) {
  stops_ = {"END", "\xF0\x9F\x98\x80"};
  begin(1);
  head();
  bytes(delta("one E") + delta("Nx two E"));
  EXPECT_EQ(text(1), "one ENx two ") << "a possible beginning of a stop string is held back";
  bytes(delta("N") + delta("D three"));
  EXPECT_EQ(text(1), "one ENx two ");
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(reason(1), "stop");
  EXPECT_EQ(stop_sequence(1), "END");
  EXPECT_TRUE(relay_->over());
  EXPECT_EQ(failure(), Failure::kNone);
  EXPECT_TRUE(hub_->usage(1).estimated);
}

TEST_F(RelayTest, HeldTextIsWrittenWhenTheAnswerEnds) {
  const auto begin_text = [this] {
    stops_ = {"END"};
    begin(1);
    head();
    bytes(delta("a E") + delta("N"));
    EXPECT_EQ(text(1), "a ");
  };
  begin_text();
  bytes(finish("length") + kUsageEvent + kDoneEvent);
  EXPECT_EQ(text(1), "a EN");
  EXPECT_EQ(reason(1), "length");
  EXPECT_TRUE(has_usage(1));

  begin_text();
  relay_->on_broken(false, "ECONNRESET", now_);
  EXPECT_EQ(text(1), "a EN");
  EXPECT_EQ(relay_->outcome().failed, (std::vector<std::int64_t>{2}));
}

TEST_F(RelayTest, AStopStringDoesNotSpanOtherOutput) {
  stops_ = {"END"};
  begin(1);
  head();
  bytes(delta("E") + call_event(R"("id":"c","function":{"name":"f","arguments":"END"})") +
        delta("ND") + finish("stop") + kDoneEvent);
  const LogContent content = log(1);
  ASSERT_EQ(content.entries.size(), 4u);
  EXPECT_EQ(content.entries[0].text, "E");
  EXPECT_EQ(content.entries[1].kind, EntryKind::kToolCall);
  EXPECT_EQ(content.entries[2].text, "END");
  EXPECT_EQ(content.entries[3].text, "ND");
}

TEST_F(RelayTest, LogprobsStayWithTheirWholeText) {
  const auto scored = [](std::string_view text) {
    return "data: {\"choices\":[{\"delta\":{\"content\":\"" + std::string(text) +
           "\"},\"logprobs\":{\"content\":[{\"token\":\"" + std::string(text) + "\"}]}}]}\n\n";
  };
  stops_ = {"END"};
  begin(1);
  head();
  bytes(scored("a E") + scored("x") + scored("b") + scored("cEND"));
  const LogContent content = log(1);
  std::vector<std::string> texts;
  for (const auto& entry : content.entries) texts.push_back(entry.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"a E", "x", "b", "c"}));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NE(content.entries[i].aux.find('"' + texts[i] + '"'), std::string::npos) << i;
  }
  EXPECT_EQ(content.entries[3].aux, "") << "logprobs of a cut text do not apply to it";
}

TEST_F(RelayTest, EachAnswerOfACallStopsByItself) {
  stops_ = {"."};
  begin(2);
  head();
  bytes(delta("a.", 0) + delta("b", 1) + delta("c", 0));
  EXPECT_EQ(status(1), "completed");
  EXPECT_EQ(status(2), "running");
  EXPECT_FALSE(relay_->over());
  bytes(delta("d.", 1));
  EXPECT_EQ(text(1), "a");
  EXPECT_EQ(text(2), "bd");
  EXPECT_TRUE(relay_->over());
}

TEST_F(RelayTest, ChoicesOfOneAnswerStopAndEndTogether) {
  stops_ = {"."};
  begin_answer(2);
  head();
  bytes(delta("a.", 0) + delta("b", 1) + delta("more", 0) + finish("length", 0));
  EXPECT_EQ(status(1), "running");
  bytes(delta("c.", 1));
  EXPECT_TRUE(relay_->over());
  EXPECT_EQ(text(1), "a");
  EXPECT_EQ(text(2), "bc");
  EXPECT_EQ(reason(1), "stop");

  begin_answer(2);
  head();
  bytes(delta("a.", 0) + delta("b", 1) + finish("stop", 1));
  pass(kSecond);
  bytes(delta("more", 0));
  pass(kSecond);
  EXPECT_EQ(status(1), "completed") << "the relay does not wait for the rest of a stopped choice";
  EXPECT_EQ(text(2), "b");
}

}  // namespace
}  // namespace sluice
