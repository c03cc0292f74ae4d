// Properties of every face, over random answers.
#include <array>
#include <random>

#include "answer.h"

namespace sluice {
namespace {

using Dialect = FaceOptions::Dialect;

FaceOptions options_of(Dialect dialect, std::uint64_t after, bool summary) {
  FaceOptions options;
  options.dialect = dialect;
  options.id = "id-T";
  options.tail = "T";
  options.model = "small";
  options.created = 1700000000;
  options.envelope = dialect == Dialect::kResponses ? R"({"store":false})" : "";
  options.include_usage = true;
  options.reasoning_summary = summary;
  options.background = summary;
  options.after = after;
  return options;
}

class Faces : public testing::TestWithParam<Dialect> {
 protected:
  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }

  void add_entry(Answer& answer) {
    static constexpr std::array<std::string_view, 5> kTexts = {"a", "\n\n", "\r\n", "\"", "\u00e9"};
    static constexpr std::array<std::string_view, 6> kArguments = {"{\"a\":", "\"}\\\"\"", "}",
                                                                   "[1]",     "{}",        " \n"};
    static constexpr std::array<std::string_view, 3> kExtras = {
        "{}", R"({"signature":"s"})", "{\"images\":\n[{\"data: x\":\"\\n\\n\"}]}"};
    switch (below(6)) {
      case 0:
        answer.reasoning(kTexts[below(kTexts.size())]);
        break;
      case 1:
        answer.refusal(kTexts[below(kTexts.size())]);
        break;
      case 2:
        answer.extra(kExtras[below(kExtras.size())]);
        break;
      case 3:
        answer.call("call_" + std::to_string(below(100)), "f");
        for (std::size_t i = below(4); i > 0; --i) {
          answer.arguments(kArguments[below(kArguments.size())]);
        }
        break;
      default:
        answer.text(kTexts[below(kTexts.size())],
                    below(3) == 0 ? "{\"content\":\n[{\"token\":\"a\",\"logprob\":-1}]}" : "");
        break;
    }
  }

  void end(Answer& answer) {
    static constexpr std::array<const char*, 4> kReasons = {"stop", "length", "tool_calls",
                                                            "content_filter"};
    switch (below(6)) {
      case 0:
        answer.fail();
        break;
      case 1:
        answer.cancel();
        break;
      default:
        answer.complete(kReasons[below(kReasons.size())]);
        break;
    }
  }

  std::mt19937 random_{20};
};

// The field lines of a block follow the rules for every client.
void check_block(const std::string& block) {
  std::size_t data_lines = 0;
  std::size_t at = 0;
  while (at + 1 < block.size()) {
    const std::size_t end = block.find('\n', at);
    const std::string line = block.substr(at, end - at);
    if (line.starts_with("data: ")) {
      ++data_lines;
      EXPECT_GT(line.size(), 6u);
    } else {
      EXPECT_TRUE(line.starts_with("id: ") || line.starts_with("event: ")) << line;
    }
    at = end + 1;
  }
  EXPECT_EQ(data_lines, 1u) << block;
  EXPECT_EQ(block.find('\r'), std::string::npos) << block;
}

TEST_P(Faces, EveryBlockHasOneLineOfDataAndLaterReadersGetTheSameBytes) {
  for (int round = 0; round < 300; ++round) {
    const bool summary = round % 2 == 0;
    Answer answer;
    if (below(2) == 0) answer.head({"big", "fp", "default"});
    // A reader follows the answer as it grows.
    const std::unique_ptr<Face> live = make_face(options_of(GetParam(), 0, summary));
    std::string live_frames;
    std::uint64_t next = 1;
    live->open(live_frames);
    for (std::size_t i = below(8); i > 0; --i) {
      add_entry(answer);
      if (below(2) == 0) answer.read(*live, live_frames, next);
    }
    end(answer);
    answer.read(*live, live_frames, next);

    ASSERT_EQ(frames_of(options_of(GetParam(), 0, summary), answer), live_frames);
    const std::vector<std::string> blocks = blocks_of(live_frames);
    std::string rest = live_frames;
    for (std::size_t after = 0; after <= blocks.size() + 1; ++after) {
      ASSERT_EQ(frames_of(options_of(GetParam(), after, summary), answer), rest) << after;
      if (after < blocks.size()) rest.erase(0, blocks[after].size());
    }
    for (const std::string& block : blocks) check_block(block);
  }
}

TEST_P(Faces, AFaceWritesNothingAfterItsEnd) {
  Answer answer;
  answer.text("a").complete();
  const std::unique_ptr<Face> face = make_face(options_of(GetParam(), 0, false));
  std::string out;
  face->open(out);
  std::uint64_t next = 1;
  answer.read(*face, out, next);
  const std::string before = out;
  next = 1;
  answer.read(*face, out, next);
  EXPECT_EQ(out, before);
}

TEST_P(Faces, ARetryIsNotSeen) {
  Answer answer;
  std::string out;
  const std::unique_ptr<Face> face = make_face(options_of(GetParam(), 0, false));
  face->write(out, 0, answer.job(), {.kind = EventLog::EventKind::kRetry, .id = {2, 0}});
  EXPECT_EQ(out, "");
}

INSTANTIATE_TEST_SUITE_P(Dialects, Faces,
                         testing::Values(Dialect::kChat, Dialect::kCompletions, Dialect::kResponses,
                                         Dialect::kUi, Dialect::kMessages));

TEST(MakeFace, NoDialectHasNoFace) {
  EXPECT_EQ(make_face({}), nullptr);
}

}  // namespace
}  // namespace sluice
