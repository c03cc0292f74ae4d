// Events of Anthropic's Messages.
#include "answer.h"

namespace sluice {
namespace {

FaceOptions messages() {
  FaceOptions options;
  options.dialect = FaceOptions::Dialect::kMessages;
  options.id = "msg_T";
  options.model = "small";
  return options;
}

// The frame of an event.
std::string frame(const std::string& type, const std::string& members = "") {
  return "event: " + type + "\ndata: {\"type\":\"" + type + "\"" +
         (members.empty() ? "" : "," + members) + "}\n\n";
}

std::string start(const std::string& model = "small", const std::string& further = "") {
  return frame("message_start",
               R"("message":{"id":"msg_T","type":"message","role":"assistant","model":")" + model +
                   R"(","content":[],"stop_reason":null,"stop_sequence":null,)"
                   R"("usage":{"input_tokens":7,"output_tokens":0})" +
                   further + "}");
}

std::string block(int index, const std::string& content) {
  return frame("content_block_start",
               "\"index\":" + std::to_string(index) + ",\"content_block\":" + content);
}

std::string delta(int index, const std::string& content) {
  return frame("content_block_delta",
               "\"index\":" + std::to_string(index) + ",\"delta\":" + content);
}

std::string stop(int index) {
  return frame("content_block_stop", "\"index\":" + std::to_string(index));
}

std::string ending(const std::string& reason,
                   const std::string& usage = R"({"input_tokens":3,"output_tokens":2})") {
  return frame("message_delta", R"("delta":{"stop_reason":")" + reason +
                                    R"(","stop_sequence":null},"usage":)" + usage);
}

TEST(MessagesFace, TextIsABlock) {
  Answer answer;
  answer.text("Hel").text("lo\n").complete();
  EXPECT_EQ(frames_of(messages(), answer),
            "event: message_start\n"
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_T\",\"type\":\"message\","
            "\"role\":\"assistant\",\"model\":\"small\",\"content\":[],\"stop_reason\":null,"
            "\"stop_sequence\":null,\"usage\":{\"input_tokens\":7,\"output_tokens\":0}}}\n\n"
            "event: content_block_start\n"
            "data: {\"type\":\"content_block_start\",\"index\":0,"
            "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
            "event: content_block_delta\n"
            "data: {\"type\":\"content_block_delta\",\"index\":0,"
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}\n\n"
            "event: content_block_delta\n"
            "data: {\"type\":\"content_block_delta\",\"index\":0,"
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"lo\\n\"}}\n\n"
            "event: content_block_stop\n"
            "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
            "event: message_delta\n"
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
            "\"stop_sequence\":null},\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}\n\n"
            "event: message_stop\n"
            "data: {\"type\":\"message_stop\"}\n\n");
}

TEST(MessagesFace, ThinkingKeepsItsSignature) {
  Answer answer;
  answer.reasoning("hm").extra(R"({"x":1})").extra(R"({"signature":"Eq\/0=="})").reasoning("?");
  answer.text("a").complete();
  EXPECT_EQ(blocks_of(frames_of(messages(), answer)),
            (Data{start(), block(0, R"({"type":"thinking","thinking":"","signature":""})"),
                  delta(0, R"({"type":"thinking_delta","thinking":"hm"})"),
                  delta(0, R"({"type":"signature_delta","signature":"Eq\/0=="})"), stop(0),
                  block(1, R"({"type":"thinking","thinking":"","signature":""})"),
                  delta(1, R"({"type":"thinking_delta","thinking":"?"})"), stop(1),
                  block(2, R"({"type":"text","text":""})"),
                  delta(2, R"({"type":"text_delta","text":"a"})"), stop(2), ending("end_turn"),
                  frame("message_stop")}));
}

TEST(MessagesFace, ASignatureWithoutThinkingIsABlockOfItsOwn) {
  Answer answer;
  answer.extra(R"({"signature":"s1"})").text("a").extra(R"({"signature":"s2"})").complete();
  EXPECT_EQ(blocks_of(frames_of(messages(), answer)),
            (Data{start(), block(0, R"({"type":"thinking","thinking":"","signature":""})"),
                  delta(0, R"({"type":"signature_delta","signature":"s1"})"), stop(0),
                  block(1, R"({"type":"text","text":""})"),
                  delta(1, R"({"type":"text_delta","text":"a"})"), stop(1),
                  block(2, R"({"type":"thinking","thinking":"","signature":""})"),
                  delta(2, R"({"type":"signature_delta","signature":"s2"})"), stop(2),
                  ending("end_turn"), frame("message_stop")}));
}

TEST(MessagesFace, BlocksOfTheApiComeAsTheyAre) {
  Answer answer;
  answer.text("a").extra(
      R"({"thinking_blocks":[{"type":"thinking"},{"type":"redacted_thinking","data":"R=="}]})");
  answer.extra(R"({"content_blocks":[{"type":"server_tool_use","id":"s"},{"type":"x"}]})");
  answer.extra(R"({"thinking_blocks":5,"content_blocks":null})").text("b").complete();
  EXPECT_EQ(blocks_of(frames_of(messages(), answer)),
            (Data{start(), block(0, R"({"type":"text","text":""})"),
                  delta(0, R"({"type":"text_delta","text":"a"})"), stop(0),
                  block(1, R"({"type":"redacted_thinking","data":"R=="})"), stop(1),
                  block(2, R"({"type":"server_tool_use","id":"s"})"), stop(2),
                  block(3, R"({"type":"x"})"), stop(3), block(4, R"({"type":"text","text":""})"),
                  delta(4, R"({"type":"text_delta","text":"b"})"), stop(4), ending("end_turn"),
                  frame("message_stop")}));
}

TEST(MessagesFace, CallsAreBlocksOfToolUse) {
  Answer answer;
  answer.call("call_1", "f").arguments("{\"a\":").arguments("1}").call("call_2", "g");
  answer.complete("tool_calls");
  EXPECT_EQ(blocks_of(frames_of(messages(), answer)),
            (Data{start(), block(0, R"({"type":"tool_use","id":"call_1","name":"f","input":{}})"),
                  delta(0, R"({"type":"input_json_delta","partial_json":"{\"a\":"})"),
                  delta(0, R"({"type":"input_json_delta","partial_json":"1}"})"), stop(0),
                  block(1, R"({"type":"tool_use","id":"call_2","name":"g","input":{}})"), stop(1),
                  ending("tool_use"), frame("message_stop")}));
}

TEST(MessagesFace, StopReasonsHaveAnthropicsNames) {
  for (const auto& [reason, name] : std::vector<std::pair<std::string, std::string>>{
           {"length", "max_tokens"}, {"content_filter", "refusal"}}) {
    Answer answer;
    answer.refusal("no").complete(reason);
    EXPECT_EQ(blocks_of(frames_of(messages(), answer)),
              (Data{start(), block(0, R"({"type":"text","text":""})"),
                    delta(0, R"({"type":"text_delta","text":"no"})"), stop(0), ending(name),
                    frame("message_stop")}));
  }
}

// The change of the message at its ending.
std::string last_change(const std::string& reason, const std::string& raw,
                        const std::string& details) {
  Terminal terminal;
  terminal.reason = reason;
  terminal.raw_reason = raw;
  terminal.details = details;
  terminal.usage = Usage{3, 2};
  Answer answer;
  answer.end(std::move(terminal));
  const std::string frames = frames_of(messages(), answer);
  const std::size_t from = frames.find("event: message_delta");
  return frames.substr(from, frames.find("event: message_stop") - from);
}

TEST(MessagesFace, TheStopStringThatEndedTheTextIsNamed) {
  const auto stopped_at = [](const std::string& sequence) {
    return frame("message_delta", R"("delta":{"stop_reason":"stop_sequence","stop_sequence":)" +
                                      sequence +
                                      R"(},"usage":{"input_tokens":3,"output_tokens":2})");
  };
  const std::string details = R"({"stop_sequence":"\"E\n"})";
  EXPECT_EQ(last_change("stop", "stop_sequence", details), stopped_at(R"("\"E\n")"));
  EXPECT_EQ(last_change("stop", "stop", details), stopped_at(R"("\"E\n")"));
  EXPECT_EQ(last_change("stop", "stop_sequence", ""), stopped_at("null"));
}

TEST(MessagesFace, AReasonOfTheApiIsPassedOn) {
  EXPECT_EQ(last_change("stop", "pause_turn", ""), ending("pause_turn"));
  EXPECT_EQ(last_change("length", "model_context_window_exceeded", ""),
            ending("model_context_window_exceeded"));
  EXPECT_EQ(last_change("tool_calls", "pause_turn", ""), ending("tool_use"));
  EXPECT_EQ(last_change("stop", "eos", ""), ending("end_turn"));
}

TEST(MessagesFace, TokensWrittenToACacheAreNoInputTokens) {
  Answer answer;
  Usage usage{30, 20};
  usage.raw = R"({"cache_creation_input_tokens":7,"prompt_tokens_details":{"cached_tokens":12}})";
  answer.complete("stop", usage);
  EXPECT_EQ(blocks_of(frames_of(messages(), answer))[1],
            ending("end_turn", R"({"input_tokens":11,"cache_creation_input_tokens":7,)"
                               R"("cache_read_input_tokens":12,"output_tokens":20})"));
}

TEST(MessagesFace, TokensReadFromACacheAreNoInputTokens) {
  Answer answer;
  Usage usage{30, 20};
  usage.raw = R"({"prompt_tokens":30,"prompt_tokens_details":{"cached_tokens":12}})";
  answer.complete("stop", usage);
  EXPECT_EQ(
      blocks_of(frames_of(messages(), answer))[1],
      ending("end_turn", R"({"input_tokens":18,"cache_read_input_tokens":12,"output_tokens":20})"));
}

TEST(MessagesFace, TheMessageHasTheModelOfTheAnswerAndTheMembersOfTheEnvelope) {
  Answer answer;
  answer.head({"big", "", ""}).complete();
  FaceOptions options = messages();
  options.envelope = R"({"container":null})";
  EXPECT_EQ(blocks_of(frames_of(options, answer))[0], start("big", R"(,"container":null)"));
}

TEST(MessagesFace, AFailureIsAnErrorEvent) {
  Answer answer;
  answer.text("a").fail();
  EXPECT_EQ(blocks_of(frames_of(messages(), answer)).back(),
            frame("error",
                  R"("error":{"type":"timeout_error","message":"The upstream is \"silent\"."})"));
  Answer cancelled;
  cancelled.cancel();
  EXPECT_EQ(
      blocks_of(frames_of(messages(), cancelled)),
      (Data{start(), frame("error", R"("error":{"type":"api_error",)"
                                    R"("message":"The job was cancelled: client_request."})")}));
}

TEST(MessagesFace, KeepsAliveWithAPing) {
  std::string out;
  make_face(messages())->keep_alive(out);
  EXPECT_EQ(out, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

}  // namespace
}  // namespace sluice
