// The kinds of output decoded from deltas: reasoning, refusals, tool calls, extras.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "recorder.h"

namespace sluice {
namespace {

std::string calls(std::string_view elements, std::string_view finish_reason = "null") {
  return chat(R"({"tool_calls":[)" + std::string(elements) + "]}", finish_reason);
}

/// An element of `tool_calls`; empty members are left out. `arguments` is written as a JSON string.
std::string call(std::string_view index, std::string_view id, std::string_view name,
                 std::string_view arguments) {
  std::string out = "{";
  const auto add = [&out](std::string_view member, const std::string& value) {
    if (out.size() > 1) out += ",";
    out.append("\"").append(member).append("\":").append(value);
  };
  if (!index.empty()) add("index", std::string(index));
  if (!id.empty()) add("id", "\"" + std::string(id) + "\"");
  std::string function = "{";
  if (!name.empty()) function += R"("name":")" + std::string(name) + "\",";
  std::string escaped;
  for (const char c : arguments) {
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  function += R"("arguments":")" + escaped + "\"}";
  add("function", function);
  return out + "}";
}

const std::string kStop = chat("{}", R"("stop")");
const std::string kFinished = "finish 0 stop stop";

TEST(OpenAiOutput, IsOrderedByKindWithinADelta) {
  EXPECT_EQ(decode({chat(R"({"images":[{"n":1}],"tool_calls":[)" + call("0", "c", "f", "{}") +
                         R"(],"refusal":"no","content":["a",{"text":"b","type":"text"}],)"
                         R"("annotations":[{"n":2}],"reasoning":"r","reasoning_content":"r"})"),
                    kStop}),
            (Seen{"reasoning 0 r", "text 0 a", "text 0 b", "refusal 0 no", "call 0 c | f",
                  "arguments 0 {}", R"(extra 0 {"images":[{"n":1}],"annotations":[{"n":2}]})",
                  kFinished}));
}

TEST(OpenAiOutput, ReasoningIsReadOnceUnderEitherName) {
  EXPECT_EQ(
      decode({chat(R"({"reasoning":"a","reasoning_content":"a"})"),
              chat(R"({"reasoning":null,"reasoning_content":"b"})"),
              chat(R"({"reasoning":"c","reasoning_content":null})"),
              chat(R"({"reasoning":"d","reasoning_content":""})"),
              chat(R"({"content":[{"type":"thinking","thinking":[{"type":"text","text":"e"}]},)"
                   R"({"type":"thinking","thinking":"f"},{"type":"text","text":"g"}]})")}),
      (Seen{"reasoning 0 a", "reasoning 0 b", "reasoning 0 c", "reasoning 0 d", "reasoning 0 e",
            "reasoning 0 f", "text 0 g"}));
}

TEST(OpenAiOutput, NullAndEmptyMembersAreNothing) {
  EXPECT_EQ(
      decode({chat(R"({"role":"assistant","content":null,"refusal":null,"audio":null,)"
                   R"("images":[],"foo":"","bar":{},"tool_calls":null,"function_call":null})"),
              chat("null"), R"({"choices":null})", R"({"choices":[]})",
              R"({"choices":[{"delta":{"content":"a"}}]})"}),
      Seen{"text 0 a"});
}

// --- tool calls

TEST(OpenAiOutput, ACallIsItsNameAndThePiecesOfItsArguments) {
  EXPECT_EQ(decode({calls(call("0", "c1", "get", "")), calls(call("0", "", "", "{\"a\"")),
                    calls(call("0", "", "", ":1}")), chat("{}", R"("tool_calls")")}),
            (Seen{"call 0 c1 | get", "arguments 0 {\"a\"", "arguments 0 :1}",
                  "finish 0 tool_calls tool_calls"}));
}

TEST(OpenAiOutput, NumbersOfTheUpstreamSayWhichCallAndNotInWhichOrder) {
  EXPECT_EQ(decode({calls(call("7", "a", "f", "{}")), calls(call("3", "b", "g", "[1]")), kStop}),
            (Seen{"call 0 a | f", "arguments 0 {}", "call 0 b | g", "arguments 0 [1]", kFinished}));
}

TEST(OpenAiOutput, OneIndexWithTwoIdsMeansTwoCalls) {
  EXPECT_EQ(decode({calls(call("0", "a", "f", "{\"x\":")), calls(call("0", "", "", "1}")),
                    calls(call("0", "b", "f", "{\"x\":")), calls(call("0", "", "", "2}")), kStop}),
            (Seen{"call 0 a | f", "arguments 0 {\"x\":", "arguments 0 1}", "call 0 b | f",
                  "arguments 0 {\"x\":", "arguments 0 2}", kFinished}));
  // Without ids a second whole value under a name begins another call.
  EXPECT_EQ(decode({calls(call("0", "", "f", "{}") + "," + call("0", "", "g", "{}")), kStop}),
            (Seen{"call 0 call_A000000000B000000000C000 | f", "arguments 0 {}",
                  "call 0 call_D000000000E000000000F000 | g", "arguments 0 {}", kFinished}));
  EXPECT_EQ(
      decode({calls(call("0", "", "f", "{}")), calls(call("0", "", "f", "{\"x\":1}")), kStop}),
      (Seen{"call 0 call_A000000000B000000000C000 | f", "arguments 0 {}",
            "call 0 call_D000000000E000000000F000 | f", "arguments 0 {\"x\":1}", kFinished}));
}

TEST(OpenAiOutput, CallsWithoutIndexAreDistinguishedByIdNameAndPlace) {
  EXPECT_EQ(decode({calls(call("", "a", "f", "{")), calls(call("", "", "", "}")),
                    calls(call("", "b", "f", "{")), calls(call("", "b", "", "}")), kStop}),
            (Seen{"call 0 a | f", "arguments 0 {", "arguments 0 }", "call 0 b | f", "arguments 0 {",
                  "arguments 0 }", kFinished}));
  EXPECT_EQ(decode({calls(call("", "a", "f", "") + "," + call("", "b", "f", "")), kStop}),
            (Seen{"call 0 a | f", "arguments 0 {}", "call 0 b | f", "arguments 0 {}", kFinished}));
  EXPECT_EQ(decode({calls(call("", "", "f", "") + "," + call("", "", "f", "")), kStop}),
            (Seen{"call 0 call_A000000000B000000000C000 | f", "arguments 0 {}",
                  "call 0 call_D000000000E000000000F000 | f", "arguments 0 {}", kFinished}));
  EXPECT_EQ(decode({calls(call("", "", "f", "{}")), calls(call("", "", "g", "{}")), kStop}),
            (Seen{"call 0 call_A000000000B000000000C000 | f", "arguments 0 {}",
                  "call 0 call_D000000000E000000000F000 | g", "arguments 0 {}", kFinished}));
}

TEST(OpenAiOutput, RepeatedIdsAndNamesAreWrittenOnce) {
  EXPECT_EQ(
      decode({calls(call("0", "a", "f", "{")), calls(call("0", "a", "f", "\"x\":")),
              calls(call("0", "a", "", "1}")), calls(call("0", "a", "f", "")), kStop}),
      (Seen{"call 0 a | f", "arguments 0 {", "arguments 0 \"x\":", "arguments 0 1}", kFinished}));
}

TEST(OpenAiOutput, ACallWaitsForItsName) {
  EXPECT_EQ(
      decode({calls(R"({"index":0,"id":"a","type":"function","function":{"name":""}})"),
              calls(call("0", "", "", "{\"x\"")), calls(call("0", "", "late", ":1}")), kStop}),
      (Seen{"call 0 a | late", "arguments 0 {\"x\":1}", kFinished}));
  // The next waits for it in turn.
  EXPECT_EQ(decode({calls(call("0", "a", "", "")), calls(call("1", "b", "g", "{}")),
                    calls(call("0", "", "f", "{}")), kStop}),
            (Seen{"call 0 a | f", "arguments 0 {}", "call 0 b | g", "arguments 0 {}", kFinished}));
  // A call without a name: its pieces are written at the end.
  EXPECT_EQ(decode({calls(call("0", "a", "", "{}")), kStop}),
            (Seen{"call 0 a", "arguments 0 {}", kFinished}));
  EXPECT_EQ(decode({calls(R"({"index":0},{})"), kStop}), Seen{kFinished});
}

TEST(OpenAiOutput, AMissingOrRepeatedIdIsReplacedByAGeneratedOne) {
  EXPECT_EQ(decode({calls(call("0", "", "f", "{")), calls(call("0", "late", "", "}")), kStop}),
            (Seen{"call 0 call_A000000000B000000000C000 | f", "arguments 0 {", "arguments 0 }",
                  kFinished}));
  EXPECT_EQ(decode({calls(call("0", "x", "f", "{}")), calls(call("1", "x", "g", "{}")), kStop}),
            (Seen{"call 0 x | f", "arguments 0 {}", "call 0 call_A000000000B000000000C000 | g",
                  "arguments 0 {}", kFinished}));
}

TEST(OpenAiOutput, ArgumentsAreNeverEmptyAndMayComeAsJson) {
  EXPECT_EQ(decode({calls(R"({"index":0,"id":"a","function":{"name":"f"}})"), kStop}),
            (Seen{"call 0 a | f", "arguments 0 {}", kFinished}));
  EXPECT_EQ(
      decode({calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":null}})"), kStop}),
      (Seen{"call 0 a | f", "arguments 0 {}", kFinished}));
  EXPECT_EQ(
      decode({calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":)"
                    R"({ "x" : [1.50, "\u00e9\ud83d\ude00\n", "\ud83d"], "y": null }}})"),
              kStop}),
      (Seen{"call 0 a | f",
            "arguments 0 { \"x\" : [1.50, \"\\u00e9\\ud83d\\ude00\\n\", \"\uFFFD\"], \"y\": null }",
            kFinished}));
  for (const std::string_view json : {"[]", "5", "-1.5e3", "true", "false"}) {
    EXPECT_EQ(decode({calls(R"({"id":"a","function":{"name":"f","arguments":)" + std::string(json) +
                            "}}"),
                      kStop}),
              (Seen{"call 0 a | f", "arguments 0 " + std::string(json), kFinished}));
  }
}

TEST(OpenAiOutput, InterleavedCallsComeOneAfterTheOther) {
  // The second is held until the JSON of the first is whole; braces in strings do not count.
  EXPECT_EQ(decode({calls(call("0", "a", "f", "{\"x\":\"}\\\"")), calls(call("1", "b", "g", "{")),
                    calls(call("0", "", "", "{\"")), calls(call("1", "", "", "\"y\":")),
                    calls(call("0", "", "", "}") + "," + call("1", "", "", "2}")), kStop}),
            (Seen{"call 0 a | f", "arguments 0 {\"x\":\"}\\\"", "arguments 0 {\"", "arguments 0 }",
                  "call 0 b | g", "arguments 0 {\"y\":", "arguments 0 2}", kFinished}));
  // Arguments that never become whole: the end of the choice ends them.
  EXPECT_EQ(decode({calls(call("0", "a", "f", "{")), calls(call("1", "b", "g", "{}")),
                    calls(call("2", "c", "h", "")), chat("{}", R"("length")")}),
            (Seen{"call 0 a | f", "arguments 0 {", "call 0 b | g", "arguments 0 {}", "call 0 c | h",
                  "arguments 0 {}", "finish 0 length length"}));
}

TEST(OpenAiOutput, OtherOutputFollowsTheCallInWhichItArrives) {
  EXPECT_EQ(decode({calls(call("0", "a", "f", "{")), chat(R"({"content":"t","foo":1})"),
                    calls(call("1", "b", "g", "{")), calls(call("0", "", "", "}")),
                    chat(R"({"reasoning":"r"})"), calls(call("1", "", "", "}")),
                    chat(R"({"content":"u"})"), kStop}),
            (Seen{"call 0 a | f", "arguments 0 {", "arguments 0 }", "text 0 t",
                  "extra 0 {\"foo\":1}", "call 0 b | g", "arguments 0 {", "arguments 0 }",
                  "reasoning 0 r", "text 0 u", kFinished}));
}

TEST(OpenAiOutput, TextAfterAWholeValueIsKeptUnlessTheNextCallHasStarted) {
  EXPECT_EQ(decode({calls(call("0", "a", "f", "{}")), calls(call("0", "", "", " ")),
                    calls(call("1", "b", "g", "{}")), calls(call("0", "", "", " ")), kStop}),
            (Seen{"call 0 a | f", "arguments 0 {}", "arguments 0  ", "call 0 b | g",
                  "arguments 0 {}", kFinished}));
}

TEST(OpenAiOutput, CallsOfAWholeAnswerAndOfTheOldDialect) {
  EXPECT_EQ(decode({R"({"choices":[{"message":{"content":null,"tool_calls":[)" +
                    call("", "", "f", "{}") + "," + call("", "", "f", "") + "," +
                    call("", "c", "f", "{}") + R"(]},"finish_reason":"tool_calls"}]})"}),
            (Seen{"call 0 call_A000000000B000000000C000 | f", "arguments 0 {}",
                  "call 0 call_D000000000E000000000F000 | f", "arguments 0 {}", "call 0 c | f",
                  "arguments 0 {}", "finish 0 tool_calls tool_calls"}));
  EXPECT_EQ(
      decode({chat(R"({"function_call":{"name":"f","arguments":"{"}})"),
              chat(R"({"function_call":{"arguments":"}"}})"), chat("{}", R"("function_call")")}),
      (Seen{"call 0 call_A000000000B000000000C000 | f", "arguments 0 {", "arguments 0 }",
            "finish 0 tool_calls function_call"}));
  EXPECT_EQ(
      decode({calls(R"J({"id":"a","type":"custom","custom":{"name":"f","input":"x(\"y\")"}})J"),
              calls(call("", "b", "g", "{}")), kStop}),
      (Seen{"call 0 a | f", "arguments 0 x(\"y\")", "call 0 b | g", "arguments 0 {}", kFinished}));
}

TEST(OpenAiOutput, CallsAfterTheFinishReasonAreKept) {
  EXPECT_EQ(decode({kStop, calls(call("0", "a", "f", "")), "[DONE]"}),
            (Seen{kFinished, "call 0 a | f", "arguments 0 {}", "done"}));
  OpenAiDecoder decoder(decoder_options());
  OpenAiRecorder recorder;
  decoder.push(stream_of({kStop, calls(call("0", "a", "f", ""))}), recorder);
  EXPECT_EQ(recorder.seen, (Seen{kFinished, "call 0 a | f"}));
  decoder.flush_finished(recorder);
  EXPECT_EQ(recorder.seen.back(), "arguments 0 {}");
}

TEST(OpenAiOutput, CallsOfSeveralChoicesDoNotMix) {
  const auto of = [](int choice, const std::string& element) {
    return R"({"choices":[{"index":)" + std::to_string(choice) + R"(,"delta":{"tool_calls":[)" +
           element + "]}}]}";
  };
  EXPECT_EQ(decode({of(1, call("0", "a", "f", "{")), of(0, call("0", "b", "g", "{")),
                    of(1, call("0", "", "", "}")), of(0, call("0", "", "", "}")), "[DONE]"},
                   decoder_options(2)),
            (Seen{"call 1 a | f", "arguments 1 {", "call 0 b | g", "arguments 0 {", "arguments 1 }",
                  "arguments 0 }", "finish 0 stop", "finish 1 stop", "done"}));
}

TEST(OpenAiOutput, PiecesThatWaitForACallAreBounded) {
  const std::string megabyte(1 << 20, 'x');
  const Seen seen = decode({calls(call("0", "a", "f", "{")), calls(call("1", "b", "g", "\"")),
                            calls(call("1", "", "", megabyte)), kStop},
                           {.choices = 1, .event_bytes = 4u << 20});
  EXPECT_EQ(seen, (Seen{"call 0 a | f", "arguments 0 {", "malformed"}));
  const Seen text =
      decode({calls(call("0", "a", "f", "{")), chat("{\"content\":\"" + megabyte + "\"}"), kStop},
             {.choices = 1, .event_bytes = 4u << 20});
  EXPECT_EQ(text, (Seen{"call 0 a | f", "arguments 0 {", "malformed"}));
  std::string many = call("0", "", "f", "{}");
  for (int i = 1; i <= 1024; ++i) many += "," + call(std::to_string(i), "", "f", "{}");
  EXPECT_EQ(decode({calls(many)}).back(), "malformed");
}

// --- characters in pieces

TEST(OpenAiOutput, CharactersAreJoinedPerKindAndCall) {
  EXPECT_EQ(decode({chat(R"({"content":"\ud83d","reasoning":"\ud83e"})"),
                    calls(R"({"index":0,"id":"a","function":{"name":"f","arguments":"\"\ud83d"}},)"
                          R"({"index":1,"id":"b","function":{"name":"g","arguments":"\"\ud83e"}})"),
                    calls(R"({"index":1,"function":{"arguments":"\udd14\""}},)"
                          R"({"index":0,"function":{"arguments":"\ude00\""}})"),
                    chat(R"({"content":"\ude00","reasoning":"\udd14"})"), kStop}),
            (Seen{"call 0 a | f", "arguments 0 \"", "arguments 0 \U0001f600\"", "call 0 b | g",
                  "arguments 0 \"\U0001f914\"", "reasoning 0 \U0001f914", "text 0 \U0001f600",
                  kFinished}));
  // Bytes of one character in two deltas, and halves that stay alone.
  EXPECT_EQ(decode({chat("{\"refusal\":\"\xE2\x82\"}"), chat("{\"refusal\":\"\xAC\"}"),
                    chat(R"({"reasoning":"\ud83e"})"), calls(call("0", "a\xFF", "f\xFF", "\"\xE2")),
                    kStop}),
            (Seen{"refusal 0 \u20ac", "call 0 a\uFFFD | f\uFFFD", "arguments 0 \"",
                  "arguments 0 \uFFFD", "reasoning 0 \uFFFD", kFinished}));
}

// --- raw JSON

TEST(OpenAiOutput, UnknownMembersOfADeltaComeAsTheyWereWritten) {
  EXPECT_EQ(
      decode({chat(R"({ "audio" : {"id": "a", "n": [1.0, -0, 1E300, {"q":"\\\"}"}]} , )"
                   R"("flag":false,"n":12.50,"s": "a\u0041\"","z":null,"role":"assistant"})")}),
      Seen{R"(extra 0 {"audio" : {"id": "a", "n": [1.0, -0, 1E300, {"q":"\\\"}"}]},)"
           R"("flag":false,"n":12.50,"s": "a\u0041\""})"});
  EXPECT_EQ(decode({R"({"choices":[{"message":{"content":"a","annotations":[{"n":1}]}}]})"}),
            (Seen{"text 0 a", R"(extra 0 {"annotations":[{"n":1}]})"}));
  // Halves of characters and ill-formed bytes are replaced.
  EXPECT_EQ(decode({chat("{\"a\\ud83d\":\"\xFF\\ud83d\\ude00\\ude00\"}")}),
            Seen{"extra 0 {\"a\uFFFD\":\"\uFFFD\\ud83d\\ude00\uFFFD\"}"});
}

TEST(OpenAiOutput, LogprobsStandBesideTheirText) {
  const auto with = [](std::string_view delta, std::string_view logprobs) {
    return R"({"choices":[{"logprobs":)" + std::string(logprobs) + R"(,"delta":)" +
           std::string(delta) + "}]}";
  };
  EXPECT_EQ(
      decode({with(R"({"role":"assistant","content":""})", R"({"content":[],"refusal":null})"),
              with(R"({"content":"a"})", R"({ "content":[{"token":"a","logprob":-0.10}] })"),
              with(R"({"content":"b"})", "null"), with(R"({"content":["c","d"]})", R"({"x":1})"),
              with("{\"content\":\"\xE2\x82\"}", R"({"content":[{"token":"1"}]})"),
              with("{\"content\":\"\xAC\"}", R"({"content":[{"token":"2"}]})"),
              with(R"({"content":""})", R"({"content":[{"token":"3"}]})"),
              with(R"({"reasoning":"r"})", R"({"content":[{"token":"4"}]})"),
              with(R"({"content":""})", R"({"content":[{"token":"5"}]})"),
              R"({"choices":[{"text":"e","logprobs":{"tokens":["e"],"token_logprobs":[-1]}}]})"}),
      (Seen{R"(text 0 a | { "content":[{"token":"a","logprob":-0.10}] })", "text 0 b",
            R"(text 0 c | {"x":1})", "text 0 d", R"(text 0 | {"content":[{"token":"1"}]})",
            "text 0 \u20ac | {\"content\":[{\"token\":\"2\"}]}",
            R"(text 0 | {"content":[{"token":"3"}]})", "reasoning 0 r",
            R"(text 0 e | {"tokens":["e"],"token_logprobs":[-1]})"}));
}

TEST(OpenAiOutput, UsageKeepsItsOtherMembers) {
  EXPECT_EQ(
      decode_pieces(
          {"data: "
           "{\"usage\":{\"prompt_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":3},\n"
           "data: \"completion_tokens\":2.0, \"cost\" : 1e-7,\"x\":null,\"type\":\"a\\ud83d\","
           "\"completion_tokens_details\":\n"
           "data: null,\"total_tokens\":9,\"estimated\":true}}\n\n"
           "data: {\"usage\":{\"completion_tokens\":3}}\n\n"
           "data: {\"usage\":{\"prompt_tokens\":{},\"y\":1}}\n\n"
           "data: {\"x_groq\":{\"usage\":{\"total_tokens\":10,\"queue_time\":0.5}}}\n\n"}),
      (Seen{"usage 7+2=9 estimated \"prompt_tokens_details\":{\"cached_tokens\":3},\"cost\" : "
            "1e-7,\"x\":null,\"type\":\"a\uFFFD\",\"completion_tokens_details\": null",
            "usage 7+3=9", "usage 7+3=10 \"queue_time\":0.5"}));
}

TEST(OpenAiOutput, EachFieldOfTheHeadIsThatOfItsFirstChunk) {
  OpenAiDecoder decoder(decoder_options());
  OpenAiRecorder recorder;
  decoder.push(stream_of({R"({"model":"","system_fingerprint":null,"choices":[]})",
                          R"({"model":"m-1","choices":[{"delta":{"content":"a"}}]})",
                          R"({"model":"m-2","system_fingerprint":"fp","service_tier":"flex"})",
                          "{\"service_tier\":\"x\xFF\"}"}),
               recorder);
  ASSERT_EQ(recorder.heads.size(), 2U);
  EXPECT_EQ(recorder.heads[0].model, "m-1");
  EXPECT_EQ(recorder.heads[0].system_fingerprint, "");
  EXPECT_EQ(recorder.heads[1].model, "m-1");
  EXPECT_EQ(recorder.heads[1].system_fingerprint, "fp");
  EXPECT_EQ(recorder.heads[1].service_tier, "flex");
}

// --- ends

TEST(OpenAiOutput, DoneEndsChoicesThatHaveADelta) {
  EXPECT_EQ(decode({chat(R"({"role":"assistant"})"), "[DONE]"}), (Seen{"finish 0 stop", "done"}));
  EXPECT_EQ(decode({R"({"choices":[{"index":1,"delta":null}]})",
                    R"({"choices":[{"index":0,"text":""}]})", "[DONE]"},
                   decoder_options(2)),
            (Seen{"finish 0 stop", "done"}));
  EXPECT_EQ(decode({chat("{}", R"("null")"), "[DONE]"}), (Seen{"finish 0 stop null", "done"}));
  EXPECT_EQ(decode({chat(R"({"content":"a"})")}), Seen{"text 0 a"});
}

TEST(OpenAiOutput, AMessageAfterDeltasIsIgnored) {
  EXPECT_EQ(decode({chat(R"({"reasoning":"r"})"),
                    R"({"choices":[{"message":{"content":"a","images":[1],"tool_calls":[)" +
                        call("", "c", "f", "{}") + R"(]},"logprobs":{"content":[1]},)" +
                        R"("finish_reason":"stop"}]})"}),
            (Seen{"reasoning 0 r", kFinished}));
}

TEST(OpenAiOutput, EveryCutOfAStreamGivesTheSameEntries) {
  const std::string stream =
      stream_of({chat(R"({"reasoning":"\ud83e","content":"a"})"),
                 chat("{\"reasoning\":\"\\udd14\"}"), calls(call("0", "a", "f", "{\"x\":")),
                 calls(call("1", "b", "g", "{\xE2\x82")), calls(call("0", "", "", "1}")),
                 calls(call("1", "", "", "\xAC}")), chat(R"({"images":[{"url":"data:x"}]})"), kStop,
                 R"({"usage":{"prompt_tokens":1,"completion_tokens":2,"d":{"e":[]}}})", "[DONE]"});
  const Seen expected = {"text 0 a",
                         "reasoning 0 \U0001f914",
                         "call 0 a | f",
                         "arguments 0 {\"x\":",
                         "arguments 0 1}",
                         "call 0 b | g",
                         "arguments 0 {",
                         "arguments 0 \u20ac}",
                         "extra 0 {\"images\":[{\"url\":\"data:x\"}]}",
                         kFinished,
                         "usage 1+2=? \"d\":{\"e\":[]}",
                         "done"};
  std::mt19937 random(42);  // A fixed seed, so that a failure repeats.
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    const std::string_view view = stream;
    ASSERT_EQ(decode_pieces({view.substr(0, cut), view.substr(cut)}), expected);
  }
  for (int round = 0; round < 100; ++round) {
    ASSERT_EQ(decode_pieces(random_split(stream, 17, random)), expected);
  }
}

}  // namespace
}  // namespace sluice
