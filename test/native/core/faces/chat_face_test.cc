// Chunks of chat completions and completions.
#include "answer.h"

namespace sluice {
namespace {

FaceOptions chat() {
  FaceOptions options;
  options.dialect = FaceOptions::Dialect::kChat;
  options.id = "chatcmpl-T";
  options.tail = "T";
  options.model = "small";
  options.created = 1700000000;
  return options;
}

// A chunk with these choices.
std::string chunk(const std::string& choices, const std::string& further = "") {
  return R"({"id":"chatcmpl-T","object":"chat.completion.chunk","created":1700000000,"model":"small")"
         R"(,"choices":[)" +
         choices + "]" + further + "}";
}

// A choice of index 0.
std::string delta(const std::string& members, const std::string& logprobs = "null") {
  return R"({"index":0,"delta":{)" + members + R"(},"logprobs":)" + logprobs +
         R"(,"finish_reason":null})";
}

std::string finish(const std::string& reason) {
  return R"({"index":0,"delta":{},"logprobs":null,"finish_reason":")" + reason + "\"}";
}

TEST(ChatFace, TextIsOneChunkPerEntryAndEndsWithDone) {
  Answer answer;
  answer.text("Hel").text("lo\n\"you\"").complete();
  EXPECT_EQ(
      frames_of(chat(), answer),
      "id: 1\n"
      "data: {\"id\":\"chatcmpl-T\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
      "\"model\":\"small\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
      "\"content\":\"Hel\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
      "id: 2\n"
      "data: {\"id\":\"chatcmpl-T\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
      "\"model\":\"small\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\\n\\\"you\\\"\"},"
      "\"logprobs\":null,\"finish_reason\":null}]}\n\n"
      "id: 3\n"
      "data: {\"id\":\"chatcmpl-T\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
      "\"model\":\"small\",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,"
      "\"finish_reason\":\"stop\"}]}\n\n"
      "id: 4\n"
      "data: [DONE]\n\n");
}

TEST(ChatFace, TheRoleIsInTheFirstDeltaAlone) {
  Answer answer;
  answer.reasoning("hm").text("a").refusal("no").complete("content_filter");
  EXPECT_EQ(data_of(frames_of(chat(), answer)),
            (Data{chunk(delta(R"("role":"assistant","content":null,"reasoning_content":"hm")")),
                  chunk(delta(R"("content":"a")")), chunk(delta(R"("refusal":"no")")),
                  chunk(finish("content_filter")), "[DONE]"}));
}

TEST(ChatFace, ContentIsNullBesideARefusal) {
  Answer answer;
  answer.refusal("no").complete();
  EXPECT_EQ(data_of(frames_of(chat(), answer))[0],
            chunk(delta(R"("role":"assistant","content":null,"refusal":"no")")));
}

TEST(ChatFace, CallsOpenWithIdAndNameAndGrowByArguments) {
  Answer answer;
  answer.call("call_1", "time").arguments("{}");
  answer.call("call_2", "weather").arguments("{\"city\":").arguments("\"Rome\"}");
  answer.complete("tool_calls");
  EXPECT_EQ(
      data_of(frames_of(chat(), answer)),
      (Data{chunk(delta(R"("role":"assistant","content":null,"tool_calls":[{"index":0,)"
                        R"("id":"call_1","type":"function","function":{"name":"time",)"
                        R"("arguments":""}}])")),
            chunk(delta(R"("tool_calls":[{"index":0,"function":{"arguments":"{}"}}])")),
            chunk(delta(R"("tool_calls":[{"index":1,"id":"call_2","type":"function",)"
                        R"("function":{"name":"weather","arguments":""}}])")),
            chunk(delta(R"("tool_calls":[{"index":1,"function":{"arguments":"{\"city\":"}}])")),
            chunk(delta(R"("tool_calls":[{"index":1,"function":{"arguments":"\"Rome\"}"}}])")),
            chunk(finish("tool_calls")), "[DONE]"}));
}

TEST(ChatFace, ReasoningHasTheFieldOfTheOptions) {
  Answer answer;
  answer.text("a").reasoning("hm").complete();
  FaceOptions options = chat();
  options.reasoning_field = "reasoning";
  EXPECT_EQ(data_of(frames_of(options, answer))[1], chunk(delta(R"("reasoning":"hm")")));
  options.reasoning_field = "both";
  EXPECT_EQ(data_of(frames_of(options, answer))[1],
            chunk(delta(R"("reasoning_content":"hm","reasoning":"hm")")));
}

TEST(ChatFace, LogprobsAreBesideTheDelta) {
  Answer answer;
  answer.text("a", R"({"content":[{"token":"a","logprob":-0.5}]})").complete();
  EXPECT_EQ(data_of(frames_of(chat(), answer))[0],
            chunk(delta(R"("role":"assistant","content":"a")",
                        R"({"content":[{"token":"a","logprob":-0.5}]})")));
}

TEST(ChatFace, MembersOfExtraEntriesAreMergedIntoTheDelta) {
  Answer answer;
  answer.extra(R"( { "images":[1],"x":{} } )").extra("{}").extra("{\"y\":1}").complete();
  EXPECT_EQ(data_of(frames_of(chat(), answer)),
            (Data{chunk(delta(R"("role":"assistant","images":[1],"x":{})")), chunk(delta("")),
                  chunk(delta(R"("y":1)")), chunk(finish("stop")), "[DONE]"}));
}

TEST(ChatFace, ForeignJsonStaysOnOneLine) {
  Answer answer;
  answer.extra("{\"a\":\r\n1}").text("a", "{\"content\":\n[]}").complete();
  const std::string frames = frames_of(chat(), answer);
  EXPECT_EQ(frames.find('\r'), std::string::npos);
  EXPECT_EQ(blocks_of(frames).size(), 4u);
}

TEST(ChatFace, AnEmptyAnswerHasARoleAndEmptyContent) {
  Answer answer;
  answer.complete();
  EXPECT_EQ(
      data_of(frames_of(chat(), answer)),
      (Data{chunk(delta(R"("role":"assistant","content":"")")), chunk(finish("stop")), "[DONE]"}));
}

TEST(ChatFace, UsageIsTheLastChunkAndNullBefore) {
  Answer answer;
  Usage usage{9, 4};
  usage.raw = R"({"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"queue_time":0.1})";
  answer.text("a").complete("length", usage);
  FaceOptions options = chat();
  options.include_usage = true;
  EXPECT_EQ(data_of(frames_of(options, answer)),
            (Data{chunk(delta(R"("role":"assistant","content":"a")"), R"(,"usage":null)"),
                  chunk(finish("length"), R"(,"usage":null)"), chunk("", ",\"usage\":" + usage.raw),
                  "[DONE]"}));
}

TEST(ChatFace, UsageIsMadeFromTheCountsWithoutTheUpstreams) {
  Answer answer;
  Usage usage{9, 4};
  usage.estimated = true;
  answer.text("a").complete("stop", usage);
  FaceOptions options = chat();
  options.include_usage = true;
  EXPECT_EQ(data_of(frames_of(options, answer))[2],
            chunk("", R"(,"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,)"
                      R"("estimated":true})"));
}

TEST(ChatFace, TheHeadOfTheAnswerIsOnEveryChunk) {
  Answer answer;
  answer.head({"big-0613", "fp_1", "priority"}).text("a").complete();
  for (const std::string& data : data_of(frames_of(chat(), answer))) {
    if (data == "[DONE]") continue;
    EXPECT_TRUE(data.starts_with(
        R"({"id":"chatcmpl-T","object":"chat.completion.chunk","created":1700000000,)"
        R"("model":"big-0613","system_fingerprint":"fp_1","service_tier":"priority","choices":[)"))
        << data;
  }
}

TEST(ChatFace, AFailureIsTheLastFrame) {
  Answer answer;
  answer.text("a").fail();
  EXPECT_EQ(data_of(frames_of(chat(), answer)),
            (Data{chunk(delta(R"("role":"assistant","content":"a")")),
                  R"({"error":{"message":"The upstream is \"silent\".","type":"upstream_error",)"
                  R"("code":"upstream_stalled","param":null}})"}));
}

TEST(ChatFace, ACancelledJobIsAnErrorOfItsOwn) {
  Answer answer;
  answer.cancel();
  EXPECT_EQ(data_of(frames_of(chat(), answer)),
            (Data{R"({"error":{"message":"The job was cancelled: client_request.",)"
                  R"("type":"cancelled_error","code":"cancelled","param":null}})"}));
}

TEST(ChatFace, KeepsAliveWithACommentOfOneLine) {
  std::string out;
  make_face(chat())->keep_alive(out);
  EXPECT_EQ(out, ": keep-alive\n");
}

class Choices : public testing::Test {
 protected:
  // Makes the face read the entries of choice `index`.
  std::string read(std::uint32_t index) {
    std::string out;
    answers_[index].read(*face_, out, next_[index], index);
    return out;
  }

  static FaceOptions two() {
    FaceOptions options = chat();
    options.choices = 2;
    options.include_usage = true;
    return options;
  }

  Answer answers_[2];
  std::uint64_t next_[2] = {1, 1};
  std::unique_ptr<Face> face_ = make_face(two());
};

TEST_F(Choices, EachHasARoleAndAnEndingAndTheStreamEndsAfterTheLast) {
  answers_[1].text("b");
  EXPECT_EQ(data_of(read(1)),
            (Data{chunk(R"({"index":1,"delta":{"role":"assistant","content":"b"},"logprobs":null,)"
                        R"("finish_reason":null})",
                        R"(,"usage":null)")}));
  answers_[0].text("a").complete();
  EXPECT_EQ(data_of(read(0)),
            (Data{chunk(delta(R"("role":"assistant","content":"a")"), R"(,"usage":null)"),
                  chunk(finish("stop"), R"(,"usage":null)")}));
  answers_[1].complete("length", Usage{100, 100});
  EXPECT_EQ(data_of(read(1)),
            (Data{chunk(R"({"index":1,"delta":{},"logprobs":null,"finish_reason":"length"})",
                        R"(,"usage":null)"),
                  chunk("", R"(,"usage":{"prompt_tokens":3,"completion_tokens":2,)"
                            R"("total_tokens":5})"),
                  "[DONE]"}));
}

TEST_F(Choices, TheUsageOfSeveralPromptsIsTheirSum) {
  FaceOptions options = two();
  options.dialect = FaceOptions::Dialect::kCompletions;
  options.choices_per_prompt = 1;
  face_ = make_face(options);
  Usage own{4, 5};
  own.raw = R"({"prompt_tokens":4,"completion_tokens":5,"total_tokens":9})";
  answers_[1].complete("stop", own);
  answers_[0].complete("stop",
                       Usage{.prompt_tokens = 10, .completion_tokens = 20, .estimated = true});
  std::string frames = read(1);
  frames += read(0);
  const Data data = data_of(frames);
  EXPECT_TRUE(data[2].ends_with(R"("choices":[],"usage":{"prompt_tokens":14,)"
                                R"("completion_tokens":25,"total_tokens":39,"estimated":true}})"))
      << data[2];
}

TEST_F(Choices, FramesHaveNoIds) {
  answers_[0].text("a").complete();
  answers_[1].text("b").complete();
  std::string frames = read(1);
  frames += read(0);
  EXPECT_EQ(frames.find("id: "), std::string::npos);
  EXPECT_TRUE(frames.starts_with("data: ")) << frames;
}

TEST_F(Choices, AFailureEndsTheStream) {
  answers_[0].text("a").fail();
  answers_[1].text("b").complete();
  EXPECT_EQ(data_of(read(0)).size(), 2u);
  EXPECT_EQ(read(1), "");
}

TEST(CompletionsFace, TextIsInPlaceOfTheDelta) {
  FaceOptions options = chat();
  options.dialect = FaceOptions::Dialect::kCompletions;
  options.id = "cmpl-T";
  Answer answer;
  answer.reasoning("hm").text("a", R"({"tokens":["a"]})").refusal("no").call("c", "f");
  answer.arguments("{}").extra("{\"x\":1}").complete("length");
  const std::string start =
      R"({"id":"cmpl-T","object":"text_completion","created":1700000000,"model":"small",)"
      R"("choices":[{"index":0,"text":)";
  EXPECT_EQ(data_of(frames_of(options, answer)),
            (Data{start + R"("a","logprobs":{"tokens":["a"]},"finish_reason":null}]})",
                  start + R"("no","logprobs":null,"finish_reason":null}]})",
                  start + R"("","logprobs":null,"finish_reason":"length"}]})", "[DONE]"}));
}

TEST(CompletionsFace, AnEmptyAnswerHasItsEndingAlone) {
  FaceOptions options = chat();
  options.dialect = FaceOptions::Dialect::kCompletions;
  Answer answer;
  answer.complete();
  EXPECT_EQ(data_of(frames_of(options, answer)).size(), 2u);
}

}  // namespace
}  // namespace sluice
