// Chunks of the UI message stream.
#include "answer.h"

namespace sluice {
namespace {

FaceOptions ui() {
  FaceOptions options;
  options.dialect = FaceOptions::Dialect::kUi;
  options.id = "msg_T";
  return options;
}

// The data between start-step and finish-step, or the ending of a broken message.
Data parts_of(const Answer& answer) {
  Data data = data_of(frames_of(ui(), answer));
  EXPECT_EQ(data[0], R"({"type":"start","messageId":"msg_T"})");
  EXPECT_EQ(data[1], R"({"type":"start-step"})");
  EXPECT_EQ(data.back(), "[DONE]");
  const std::size_t last = data.size() - (data[data.size() - 2].find("finish") == 9 ? 3 : 1);
  return Data(data.begin() + 2, data.begin() + static_cast<std::ptrdiff_t>(last));
}

TEST(UiFace, TextIsAPartWithAnIdOfItsOwn) {
  Answer answer;
  answer.text("Hel").text("lo\n").complete();
  EXPECT_EQ(frames_of(ui(), answer),
            "id: 1\ndata: {\"type\":\"start\",\"messageId\":\"msg_T\"}\n\n"
            "id: 2\ndata: {\"type\":\"start-step\"}\n\n"
            "id: 3\ndata: {\"type\":\"text-start\",\"id\":\"1\"}\n\n"
            "id: 4\ndata: {\"type\":\"text-delta\",\"id\":\"1\",\"delta\":\"Hel\"}\n\n"
            "id: 5\ndata: {\"type\":\"text-delta\",\"id\":\"1\",\"delta\":\"lo\\n\"}\n\n"
            "id: 6\ndata: {\"type\":\"text-end\",\"id\":\"1\"}\n\n"
            "id: 7\ndata: {\"type\":\"finish-step\"}\n\n"
            "id: 8\ndata: {\"type\":\"finish\",\"finishReason\":\"stop\"}\n\n"
            "id: 9\ndata: [DONE]\n\n");
}

TEST(UiFace, EarlierStepsFollowTheStart) {
  FaceOptions options = ui();
  options.envelope = "id: 1.1\ndata: {\"type\":\"start-step\"}\n\n";
  Answer answer;
  answer.complete();
  const std::string step = "id: 2\ndata: {\"type\":\"start-step\"}\n\n";
  const std::string frames = frames_of(options, answer);
  const std::string start = "id: 1.0\ndata: {\"type\":\"start\",\"messageId\":\"msg_T\"}\n\n";
  EXPECT_TRUE(frames.starts_with(start + options.envelope + step)) << frames;
  // A reader that disconnected among them lacks the rest of them.
  options.after = 1;
  EXPECT_EQ(frames_of(options, answer), frames.substr(start.size()));
}

TEST(UiFace, OnePartIsOpenAtATime) {
  Answer answer;
  answer.reasoning("hm").text("a").extra("{\"x\":1}").refusal("no").reasoning("?").complete();
  EXPECT_EQ(parts_of(answer), (Data{
                                  R"({"type":"reasoning-start","id":"1"})",
                                  R"({"type":"reasoning-delta","id":"1","delta":"hm"})",
                                  R"({"type":"reasoning-end","id":"1"})",
                                  R"({"type":"text-start","id":"2"})",
                                  R"({"type":"text-delta","id":"2","delta":"a"})",
                                  R"({"type":"text-end","id":"2"})",
                                  R"({"type":"text-start","id":"3"})",
                                  R"({"type":"text-delta","id":"3","delta":"no"})",
                                  R"({"type":"text-end","id":"3"})",
                                  R"({"type":"reasoning-start","id":"4"})",
                                  R"({"type":"reasoning-delta","id":"4","delta":"?"})",
                                  R"({"type":"reasoning-end","id":"4"})",
                              }));
}

TEST(UiFace, TheInputOfAToolIsAvailableOnceItsJsonIsWhole) {
  Answer answer;
  answer.text("a").call("call_1", "weather").arguments("{\"city\":").arguments("\"}\"}");
  const std::string tool = R"("toolCallId":"call_1","toolName":"weather")";
  const Data begun = {
      R"({"type":"text-start","id":"1"})",
      R"({"type":"text-delta","id":"1","delta":"a"})",
      R"({"type":"text-end","id":"1"})",
      R"({"type":"tool-input-start",)" + tool + "}",
      R"({"type":"tool-input-delta","toolCallId":"call_1","inputTextDelta":"{\"city\":"})",
      R"({"type":"tool-input-delta","toolCallId":"call_1","inputTextDelta":"\"}\"}"})",
      R"({"type":"tool-input-available",)" + tool + R"(,"input":{"city":"}"}})",
  };
  const Data now = data_of(frames_of(ui(), answer));
  EXPECT_EQ(Data(now.begin() + 2, now.end()), begun) << "before the next entry";
  answer.arguments(" \n").complete("tool_calls");
  EXPECT_EQ(parts_of(answer), begun);
  const Data data = data_of(frames_of(ui(), answer));
  EXPECT_EQ(data[data.size() - 2], R"({"type":"finish","finishReason":"tool-calls"})");
}

TEST(UiFace, InputOtherThanAnObjectIsAvailableAtItsEnd) {
  Answer answer;
  answer.call("c", "f").arguments("1").arguments("2\n").call("d", "g").arguments("{\n}");
  answer.complete("tool_calls");
  const Data parts = parts_of(answer);
  EXPECT_EQ(parts[3],
            R"({"type":"tool-input-available","toolCallId":"c","toolName":"f","input":12 })");
  EXPECT_EQ(parts[6],
            R"({"type":"tool-input-available","toolCallId":"d","toolName":"g","input":{ }})");
}

TEST(UiFace, InvalidJsonInputIsAnError) {
  const std::string no_json =
      R"(","errorText":"The arguments of the tool call are not valid JSON."})";
  const std::string error =
      R"({"type":"tool-input-error","toolCallId":"c","toolName":"f","input":")";
  for (const auto& [arguments, quoted] : std::vector<std::pair<std::string, std::string>>{
           {"{\"a\":", R"({\"a\":)"}, {"{a}", "{a}"}, {"{}{}", "{}{}"}, {"}", "}"}}) {
    Answer answer;
    answer.call("c", "f").arguments(arguments).complete("length");
    const Data parts = parts_of(answer);
    ASSERT_EQ(parts.size(), 3u);
    EXPECT_EQ(parts[2], error + quoted + no_json);
  }
  Answer bare;
  bare.call("c", "f").complete("length");
  EXPECT_EQ(parts_of(bare)[1], error + no_json);
}

TEST(UiFace, TextBehindAWholeInputIsAnErrorAtTheEndOfTheCall) {
  Answer answer;
  answer.call("c", "f").arguments("{}").arguments(" x").text("a").complete();
  const Data parts = parts_of(answer);
  EXPECT_EQ(parts[2],
            R"({"type":"tool-input-available","toolCallId":"c","toolName":"f","input":{}})");
  EXPECT_EQ(parts[3],
            R"({"type":"tool-input-error","toolCallId":"c","toolName":"f","input":"{} x",)"
            R"("errorText":"The arguments of the tool call are not valid JSON."})");
  EXPECT_EQ(parts[4], R"({"type":"text-start","id":"1"})");
}

TEST(UiFace, ALoneSurrogateEscapeIsJson) {
  Answer answer;
  answer.call("c", "f").arguments(R"({"a":"\ud83d"})").complete();
  EXPECT_EQ(parts_of(answer)[2],
            R"({"type":"tool-input-available","toolCallId":"c","toolName":"f",)"
            R"("input":{"a":"\ud83d"}})");
}

TEST(UiFace, FinishReasonsHaveTheSdksNames) {
  for (const auto& [reason, name] :
       std::vector<std::pair<std::string, std::string>>{{"stop", "stop"},
                                                        {"length", "length"},
                                                        {"content_filter", "content-filter"},
                                                        {"custom", "other"}}) {
    Answer answer;
    answer.complete(reason);
    const Data data = data_of(frames_of(ui(), answer));
    EXPECT_EQ(data, (Data{R"({"type":"start","messageId":"msg_T"})", R"({"type":"start-step"})",
                          R"({"type":"finish-step"})",
                          R"({"type":"finish","finishReason":")" + name + "\"}", "[DONE]"}));
  }
}

TEST(UiFace, AFailureClosesTheOpenPart) {
  Answer answer;
  answer.reasoning("hm").fail();
  EXPECT_EQ(parts_of(answer),
            (Data{R"({"type":"reasoning-start","id":"1"})",
                  R"({"type":"reasoning-delta","id":"1","delta":"hm"})",
                  R"({"type":"reasoning-end","id":"1"})",
                  R"({"type":"error","errorText":"The upstream is \"silent\"."})"}));
}

TEST(UiFace, ACancelledMessageIsAborted) {
  Answer answer;
  answer.text("a").cancel();
  EXPECT_EQ(
      parts_of(answer),
      (Data{R"({"type":"text-start","id":"1"})", R"({"type":"text-delta","id":"1","delta":"a"})",
            R"({"type":"text-end","id":"1"})", R"({"type":"abort","reason":"client_request"})"}));
}

TEST(UiFace, AToolCallThatWasCutOffHasNoInput) {
  Answer answer;
  answer.call("c", "f").arguments("1").cancel();
  EXPECT_EQ(parts_of(answer),
            (Data{R"({"type":"tool-input-start","toolCallId":"c","toolName":"f"})",
                  R"({"type":"tool-input-delta","toolCallId":"c","inputTextDelta":"1"})",
                  R"({"type":"abort","reason":"client_request"})"}));
}

TEST(UiFace, KeepsAliveWithACommentOfOneLine) {
  std::string out;
  make_face(ui())->keep_alive(out);
  EXPECT_EQ(out, ": keep-alive\n");
}

}  // namespace
}  // namespace sluice
