#include "core/upstream/openai/decoder.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "recorder.h"

namespace sluice {
namespace {

const std::string kUsage =
    R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}})";

TEST(OpenAiDecoder, DecodesAChatStream) {
  EXPECT_EQ(
      decode({chat(R"({"role":"assistant","content":""})"), chat(R"({"content":"Hel"})"),
              chat(R"({"content":"lo\n\"\u00e9\""})"), chat("{}", R"("stop")"), kUsage, "[DONE]"}),
      (Seen{"text 0 Hel", "text 0 lo\n\"\u00e9\"", "finish 0 stop stop", "usage 9+12=21", "done"}));
}

TEST(OpenAiDecoder, SplitsInterleavedCompletions) {
  const Seen seen = decode(
      {completion(1, "b1"), completion(0, "a1"),
       R"({"choices":[{"index":2,"text":"c1","finish_reason":null},{"index":0,"text":"a2","finish_reason":"length"}]})",
       completion(1, "b2", R"("stop")"), completion(2, "", R"("content_filter")"), "[DONE]"},
      decoder_options(3));
  EXPECT_EQ(seen, (Seen{"text 1 b1", "text 0 a1", "text 2 c1", "text 0 a2",
                        "finish 0 length length", "text 1 b2", "finish 1 stop stop",
                        "finish 2 content_filter content_filter", "done"}));
}

TEST(OpenAiDecoder, ReadsAWholeAnswerToo) {
  EXPECT_EQ(
      decode(
          {R"({"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",)"
           R"("content":"All."},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}})"}),
      (Seen{"text 0 All.", "finish 0 stop stop", "usage 1+2=?"}));
}

TEST(OpenAiDecoder, MembersOfAnotherKindCountAsAbsent) {
  for (const std::string_view payload :
       {R"({})", R"({"choices":null})", R"({"choices":"x","usage":null})",
        R"({"choices":[null,1,"x"]})", R"({"choices":[{"delta":{"content":null}}]})",
        R"({"choices":[{"delta":null}]})", R"({"choices":[{"delta":{"content":[null,1,{}]}}]})",
        R"({"choices":[{"delta":{"content":[{"type":"text","text":5}]}}]})",
        R"({"choices":[{"delta":{"tool_calls":[],"refusal":null,"reasoning":""}}]})",
        R"({"choices":[{"text":5,"finish_reason":false}]})",
        R"({"choices":[{"finish_reason":""}]})", R"({"choices":[{"content":"b","message":"c"}]})",
        R"({"other":{"choices":[{"text":"a"}],"usage":{"prompt_tokens":1},"error":{}}})",
        R"({"error":null})", R"({"message":"m","type":"ping"})"}) {
    EXPECT_EQ(decode({std::string(payload)}), Seen{}) << payload;
  }
}

TEST(OpenAiDecoder, OrderOfMembersDoesNotMatter) {
  EXPECT_EQ(decode({R"({"usage":{"completion_tokens":2,"prompt_tokens":1},"choices":)"
                    R"([{"finish_reason":"stop","delta":{"content":"x"},"index":1}]})"},
                   decoder_options(2)),
            (Seen{"text 1 x", "finish 1 stop stop", "usage 1+2=?"}));
}

TEST(OpenAiDecoder, UsageCountsThatAreNoCountsAreAbsentAndFractionsAreRoundedUp) {
  EXPECT_EQ(decode({R"({"usage":{"prompt_tokens":-1,"completion_tokens":99999999999999999999}})",
                    R"({"usage":{"prompt_tokens":1.5,"completion_tokens":9007199254740991}})"}),
            Seen{"usage 2+9007199254740991=?"});
}

TEST(OpenAiDecoder, ReportsAnErrorObjectAndNothingAfterIt) {
  struct ErrorCase {
    std::string stream;
    std::string expected;
  };
  const std::vector<ErrorCase> table = {
      {stream_of(
           {R"({"error":{"message":"Too busy","type":"server_error","code":"busy","param":null}})"}),
       "error Too busy|server_error|busy"},
      {stream_of({R"({"error":{"message":"m","type":null,"code":503}})"}), "error m||503"},
      {stream_of({R"({"error":"just text"})"}), "error just text||"},
      {stream_of({R"({"error":{}})"}), "error ||"},
      {stream_of(
           {R"({"choices":[{"delta":{"content":"lost"},"finish_reason":"error"}],"error":{"message":"m"}})"}),
       "error m||"},
      {"event: error\ndata: {\"message\":\"m\",\"code\":7}\n\n", "error m||7"},
      {"event: error\ndata: "
       "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n",
       "error m|overloaded_error|"},
  };
  for (const ErrorCase& each : table) {
    const std::string stream = stream_of({chat(R"({"content":"a"})")}) + each.stream +
                               stream_of({chat(R"({"content":"b"})"), "[DONE]"});
    EXPECT_EQ(decode_pieces({stream}), (Seen{"text 0 a", each.expected})) << each.stream;
  }
}

TEST(OpenAiDecoder, IgnoresEventsAfterDoneAndKeepsEventsAfterAFinishReason) {
  EXPECT_EQ(decode({completion(0, "a", R"("stop")"), completion(0, "late", R"("length")"),
                    completion(1, "b"), "[DONE]", completion(1, "later"), "not json"},
                   decoder_options(2)),
            (Seen{"text 0 a", "finish 0 stop stop", "text 0 late", "finish 0 length length",
                  "text 1 b", "finish 1 stop", "done"}));
}

TEST(OpenAiDecoder, HoldsSurrogateHalvesOfTwoDeltas) {
  EXPECT_EQ(decode({chat(R"({"content":"a\ud83d"})"), chat(R"({"content":"\ude00b"})")}),
            (Seen{"text 0 a", "text 0 \U0001f600b"}));
  EXPECT_EQ(decode({completion(0, R"(\uD83D)"), completion(1, "x"), completion(0, R"(\uDE00)")},
                   decoder_options(2)),
            (Seen{"text 1 x", "text 0 \U0001f600"}));
  // Separate halves, a whole pair, and backslashes that only resemble an escape.
  EXPECT_EQ(decode({completion(0, R"(\ud83dx\ude00\ud83d\ude00\\ud83d)")}),
            (Seen{"text 0 \uFFFDx\uFFFD\U0001f600\\ud83d"}));
  EXPECT_EQ(decode({completion(0, R"(a\ud83d)", R"("stop")")}),
            (Seen{"text 0 a", "text 0 \uFFFD", "finish 0 stop stop"}));
}

TEST(OpenAiDecoder, JoinsCharactersWhoseBytesArriveInTwoDeltas) {
  EXPECT_EQ(decode({completion(0, "a\xF0\x9F"), completion(1, "\xC3"), completion(0, "\x98\x80"),
                    completion(1, "\xA9")},
                   decoder_options(2)),
            (Seen{"text 0 a", "text 0 \U0001f600", "text 1 \u00e9"}));
  EXPECT_EQ(decode({completion(0, "a\xF0\x9F"), "[DONE]"}),
            (Seen{"text 0 a", "text 0 \uFFFD", "finish 0 stop", "done"}));
  EXPECT_EQ(decode({completion(0, "\xFFz")}), Seen{"text 0 \uFFFDz"});
  EXPECT_EQ(decode({R"({"error":{"message":")"
                    "\xFF"
                    R"(","code":"\ud83d"}})"}),
            Seen{"error \uFFFD||\uFFFD"});
}

TEST(OpenAiDecoder, CleanEndCountsAWholeLastEventAndForgetsACutOne) {
  EXPECT_EQ(decode_pieces({"data: " + chat(R"({"content":"a"})") + "\n\ndata: [DONE]"}),
            (Seen{"text 0 a", "finish 0 stop", "done"}));
  EXPECT_EQ(decode_pieces({"data: " + completion(0, "a", R"("stop")") + "\n"}),
            (Seen{"text 0 a", "finish 0 stop stop"}));
  EXPECT_EQ(decode_pieces({R"(data: {"choices":[{"te)"}), Seen{});
}

TEST(OpenAiDecoder, CommentsAndEmptyEventsMeanNothing) {
  EXPECT_EQ(decode_pieces({": ping\n\ndata:\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n"
                           "data:   [DONE]  \n\n"}),
            Seen{"done"});
}

TEST(OpenAiDecoder, AMalformedPayloadEndsTheStream) {
  const std::string deep_arrays = R"({"a":)" + std::string(500'000, '[');
  std::string deep_objects;
  for (int i = 0; i < 100'000; ++i) deep_objects += R"({"a":)";
  using std::string_literals::operator""s;
  const std::vector<std::string> corpus = {
      "{",
      "}",
      "{}}",
      "{} x",
      "[]",
      "[{}]",
      "1",
      "\"x\"",
      "null",
      "true",
      "not json",
      R"({"choices":[{"text":"a"})",
      R"({"choices":[{"text":"a}]})",
      R"({"a":1,})",
      R"({'a':1})",
      R"({"a":"\x"})",
      R"({"a":"\u12"})",
      R"({"a":"\ud83d)",
      R"({"a":tru})",
      R"({"a":01})",
      R"({"a":-})",
      R"({"a":1e99999})",
      "{\"a\":\"\x01\"}",
      "{}\0{}"s,
      "{\0}"s,
      "<html></html>",
      R"({"choices":[{"text":"a","index":1}]})",
      R"({"choices":[{"text":"a","index":-1}]})",
      R"({"choices":[{"text":"a","index":0.5}]})",
      R"({"choices":[{"text":"a","index":1e300}]})",
      R"({"choices":[{"text":"a","index":18446744073709551616}]})",
      deep_arrays,
      deep_objects,
  };
  for (const std::string& payload : corpus) {
    OpenAiDecoder decoder({});
    OpenAiRecorder recorder;
    decoder.push(stream_of({payload, completion(0, "late"), "[DONE]"}), recorder);
    decoder.finish(recorder);
    EXPECT_EQ(recorder.seen, Seen{"malformed"}) << payload.substr(0, 80);
    EXPECT_TRUE(decoder.ended());
    EXPECT_LT(recorder.last_problem.size(), 100U);
  }
}

TEST(OpenAiDecoder, HugeNumbersElsewhereDoNoHarm) {
  EXPECT_EQ(
      decode(
          {R"({"created":123456789012345678901234567890,"x":-1.5e-999,"choices":[{"text":"a"}]})"}),
      Seen{"text 0 a"});
}

TEST(OpenAiDecoder, BoundsAnEvent) {
  OpenAiDecoder decoder({.choices = 1, .event_bytes = 100});
  OpenAiRecorder recorder;
  decoder.push(stream_of({completion(0, "fits")}), recorder);
  for (int i = 0; i < 200; ++i) decoder.push("data: x", recorder);
  decoder.finish(recorder);
  EXPECT_EQ(recorder.seen, (Seen{"text 0 fits", "malformed"}));
  EXPECT_EQ(recorder.last_problem, "an event exceeds the size limit");
}

std::string representative_stream(std::string_view line_end) {
  std::string out = "\xEF\xBB\xBF: hello";
  const auto event = [&](const std::string& payload) {
    out += "data: " + payload + std::string(line_end) + std::string(line_end);
  };
  out += line_end;
  event(R"({"choices":[{"text":"a\u00e9\ud83d","index":1}]})");
  event(R"({"choices":[{"text":"\u20ac)"
        "\U0001f600\xF0\x9F"
        R"("}]})");
  event(R"({"choices":[{"text":"\ude00","index":1,"finish_reason":"length"}]})");
  event(R"({"choices":[{"text":")"
        "\x98\x80\xFF"
        R"(","finish_reason":"stop"}]})");
  event(R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}})");
  event("[DONE]");
  return out;
}

TEST(OpenAiDecoder, EveryCutOfAStreamGivesTheSameEvents) {
  const Seen expected = {"text 1 a\u00e9",
                         "text 0 \u20ac\U0001f600",
                         "text 1 \U0001f600",
                         "finish 1 length length",
                         "text 0 \U0001f600\uFFFD",
                         "finish 0 stop stop",
                         "usage 3+4=?",
                         "done"};
  std::mt19937 random(42);  // A fixed seed, so that a failure repeats.
  for (const std::string_view line_end : {"\n", "\r", "\r\n"}) {
    const std::string stream = representative_stream(line_end);
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
      const std::string_view view = stream;
      ASSERT_EQ(decode_pieces({view.substr(0, cut), view.substr(cut)}, decoder_options(2)),
                expected);
    }
    for (int round = 0; round < 300; ++round) {
      ASSERT_EQ(decode_pieces(random_split(stream, 17, random), decoder_options(2)), expected);
    }
    ASSERT_EQ(decode_pieces(random_split(stream, 1, random), decoder_options(2)), expected);
  }
}

}  // namespace
}  // namespace sluice
