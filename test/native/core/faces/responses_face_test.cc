// Events of Responses.
#include "answer.h"

namespace sluice {
namespace {

FaceOptions responses() {
  FaceOptions options;
  options.dialect = FaceOptions::Dialect::kResponses;
  options.id = "resp_T";
  options.tail = "T";
  options.model = "small";
  options.created = 1700000000;
  return options;
}

// The response object of a request without optional members.
std::string response(const std::string& status, const std::string& output = "[]",
                     const std::string& usage = "null", const std::string& error = "null",
                     const std::string& incomplete = "null") {
  return R"({"id":"resp_T","object":"response","created_at":1700000000,"status":")" + status +
         R"(","background":false,"error":)" + error + R"(,"incomplete_details":)" + incomplete +
         R"(,"instructions":null,"max_output_tokens":null,"metadata":{},"model":"small","output":)" +
         output +
         R"(,"parallel_tool_calls":true,"previous_response_id":null,)"
         R"("reasoning":{"effort":null,"summary":null},"service_tier":null,"store":true,)"
         R"("temperature":null,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],)"
         R"("top_p":null,"truncation":"disabled","usage":)" +
         usage + R"(,"user":null})";
}

const std::string kUsage =
    R"({"input_tokens":3,"input_tokens_details":{"cached_tokens":0},"output_tokens":2,)"
    R"("output_tokens_details":{"reasoning_tokens":0},"total_tokens":5})";

// The frame of an event.
std::string frame(int number, const std::string& type, const std::string& members) {
  const std::string n = std::to_string(number);
  return "id: " + n + "\nevent: " + type + "\ndata: {\"type\":\"" + type +
         "\",\"sequence_number\":" + n + "," + members + "}\n\n";
}

std::string part(const std::string& text, const std::string& logprobs = "[]") {
  return R"({"type":"output_text","annotations":[],"logprobs":)" + logprobs + R"(,"text":")" +
         text + "\"}";
}

std::string message(const std::string& id, const std::string& content,
                    const std::string& status = "completed") {
  return R"({"id":")" + id + R"(","type":"message","status":")" + status +
         R"(","role":"assistant","content":[)" + content + "]}";
}

// The frames from number 2 on: those of the entries and of the ending.
Data frames_after_opening(const FaceOptions& options, const Answer& answer) {
  Data blocks = blocks_of(frames_of(options, answer));
  const auto opening = options.background ? 3 : 2;
  blocks.erase(blocks.begin(), blocks.begin() + opening);
  return blocks;
}

TEST(ResponsesFace, TextIsAMessageWithOnePart) {
  Answer answer;
  answer.text("Hel").text("lo\n").complete();
  const std::string at = R"("item_id":"msg_T_0","output_index":0,"content_index":0)";
  const std::string done = message("msg_T_0", part("Hello\\n"));
  EXPECT_EQ(blocks_of(frames_of(responses(), answer)),
            (Data{frame(0, "response.created", "\"response\":" + response("in_progress")),
                  frame(1, "response.in_progress", "\"response\":" + response("in_progress")),
                  frame(2, "response.output_item.added",
                        R"("output_index":0,"item":{"id":"msg_T_0","type":"message",)"
                        R"("status":"in_progress","role":"assistant","content":[]})"),
                  frame(3, "response.content_part.added", at + ",\"part\":" + part("")),
                  frame(4, "response.output_text.delta", at + R"(,"delta":"Hel","logprobs":[])"),
                  frame(5, "response.output_text.delta", at + R"(,"delta":"lo\n","logprobs":[])"),
                  frame(6, "response.output_text.done", at + R"(,"text":"Hello\n","logprobs":[])"),
                  frame(7, "response.content_part.done", at + ",\"part\":" + part("Hello\\n")),
                  frame(8, "response.output_item.done", R"("output_index":0,"item":)" + done),
                  frame(9, "response.completed",
                        "\"response\":" + response("completed", "[" + done + "]", kUsage))}));
}

TEST(ResponsesFace, ReasoningIsAnItemOfItsOwn) {
  Answer answer;
  answer.reasoning("h").reasoning("m").text("a").complete();
  const std::string at = R"("item_id":"rs_T_0","output_index":0,"content_index":0)";
  const std::string done = R"({"id":"rs_T_0","type":"reasoning","status":"completed","summary":[],)"
                           R"("content":[{"type":"reasoning_text","text":"hm"}]})";
  const Data frames = frames_after_opening(responses(), answer);
  ASSERT_EQ(frames.size(), 14u);
  EXPECT_EQ(Data(frames.begin(), frames.begin() + 8),
            (Data{frame(2, "response.output_item.added",
                        R"("output_index":0,"item":{"id":"rs_T_0","type":"reasoning",)"
                        R"("status":"in_progress","summary":[],"content":[]})"),
                  frame(3, "response.content_part.added",
                        at + R"(,"part":{"type":"reasoning_text","text":""})"),
                  frame(4, "response.reasoning_text.delta", at + R"(,"delta":"h")"),
                  frame(5, "response.reasoning_text.delta", at + R"(,"delta":"m")"),
                  frame(6, "response.reasoning_text.done", at + R"(,"text":"hm")"),
                  frame(7, "response.content_part.done",
                        at + R"(,"part":{"type":"reasoning_text","text":"hm"})"),
                  frame(8, "response.output_item.done", R"("output_index":0,"item":)" + done),
                  frame(9, "response.output_item.added",
                        R"("output_index":1,"item":{"id":"msg_T_1","type":"message",)"
                        R"("status":"in_progress","role":"assistant","content":[]})")}));
  EXPECT_EQ(frames.back(),
            frame(15, "response.completed",
                  "\"response\":" + response("completed",
                                             "[" + done + "," + message("msg_T_1", part("a")) + "]",
                                             kUsage)));
}

TEST(ResponsesFace, ReasoningIsASummaryWhereTheRequestAsksForOne) {
  Answer answer;
  answer.reasoning("hm").complete();
  FaceOptions options = responses();
  options.reasoning_summary = true;
  const std::string at = R"("item_id":"rs_T_0","output_index":0,"summary_index":0)";
  const std::string done = R"({"id":"rs_T_0","type":"reasoning","status":"completed",)"
                           R"("summary":[{"type":"summary_text","text":"hm"}]})";
  EXPECT_EQ(frames_after_opening(options, answer),
            (Data{frame(2, "response.output_item.added",
                        R"("output_index":0,"item":{"id":"rs_T_0","type":"reasoning",)"
                        R"("status":"in_progress","summary":[]})"),
                  frame(3, "response.reasoning_summary_part.added",
                        at + R"(,"part":{"type":"summary_text","text":""})"),
                  frame(4, "response.reasoning_summary_text.delta", at + R"(,"delta":"hm")"),
                  frame(5, "response.reasoning_summary_text.done", at + R"(,"text":"hm")"),
                  frame(6, "response.reasoning_summary_part.done",
                        at + R"(,"part":{"type":"summary_text","text":"hm"})"),
                  frame(7, "response.output_item.done", R"("output_index":0,"item":)" + done),
                  frame(8, "response.completed",
                        "\"response\":" + response("completed", "[" + done + "]", kUsage))}));
}

TEST(ResponsesFace, CallsAreItemsWithArguments) {
  Answer answer;
  answer.call("call_1", "time").arguments("{").arguments("}").call("call_2", "now");
  answer.arguments("{\"a\":1}").complete("tool_calls");
  const auto done = [](const std::string& k, const std::string& arguments) {
    return R"({"id":"fc_T_)" + k + R"(","type":"function_call","status":"completed",)" +
           R"("call_id":"call_)" + (k == "0" ? "1" : "2") + R"(","name":")" +
           (k == "0" ? "time" : "now") + R"(","arguments":")" + arguments + "\"}";
  };
  const std::string first = R"("item_id":"fc_T_0","output_index":0)";
  const std::string second = R"("item_id":"fc_T_1","output_index":1)";
  EXPECT_EQ(
      frames_after_opening(responses(), answer),
      (Data{frame(2, "response.output_item.added",
                  R"("output_index":0,"item":{"id":"fc_T_0","type":"function_call",)"
                  R"("status":"in_progress","call_id":"call_1","name":"time","arguments":""})"),
            frame(3, "response.function_call_arguments.delta", first + R"(,"delta":"{")"),
            frame(4, "response.function_call_arguments.delta", first + R"(,"delta":"}")"),
            frame(5, "response.function_call_arguments.done",
                  first + R"(,"name":"time","arguments":"{}")"),
            frame(6, "response.output_item.done", R"("output_index":0,"item":)" + done("0", "{}")),
            frame(7, "response.output_item.added",
                  R"("output_index":1,"item":{"id":"fc_T_1","type":"function_call",)"
                  R"("status":"in_progress","call_id":"call_2","name":"now","arguments":""})"),
            frame(8, "response.function_call_arguments.delta", second + R"(,"delta":"{\"a\":1}")"),
            frame(9, "response.function_call_arguments.done",
                  second + R"(,"name":"now","arguments":"{\"a\":1}")"),
            frame(10, "response.output_item.done",
                  R"("output_index":1,"item":)" + done("1", R"({\"a\":1})")),
            frame(11, "response.completed",
                  "\"response\":" +
                      response("completed",
                               "[" + done("0", "{}") + "," + done("1", R"({\"a\":1})") + "]",
                               kUsage))}));
}

TEST(ResponsesFace, ARefusalIsAPartOfTheMessage) {
  Answer answer;
  answer.text("a").extra("{\"x\":1}").refusal("n").refusal("o").complete();
  const std::string at = R"("item_id":"msg_T_0","output_index":0,"content_index":1)";
  const std::string refusal = R"({"type":"refusal","refusal":"no"})";
  const Data frames = frames_after_opening(responses(), answer);
  ASSERT_EQ(frames.size(), 12u);
  EXPECT_EQ(
      Data(frames.begin() + 5, frames.begin() + 11),
      (Data{frame(7, "response.content_part.added",
                  at + R"(,"part":{"type":"refusal","refusal":""})"),
            frame(8, "response.refusal.delta", at + R"(,"delta":"n")"),
            frame(9, "response.refusal.delta", at + R"(,"delta":"o")"),
            frame(10, "response.refusal.done", at + R"(,"refusal":"no")"),
            frame(11, "response.content_part.done", at + ",\"part\":" + refusal),
            frame(12, "response.output_item.done",
                  R"("output_index":0,"item":)" + message("msg_T_0", part("a") + "," + refusal))}));
}

TEST(ResponsesFace, LogprobsHaveTheFormOfResponses) {
  Answer answer;
  answer.text("a", R"({"content":[{"token":"a","logprob":-0.50,"bytes":[97],"top_logprobs":[)"
                   R"({"token":"b","logprob":-1e-3,"bytes":null}]}],"refusal":null})");
  answer.text("b").text("c", R"({"content": [ {"token":"c","logprob":-2} , {} ]})").complete();
  const std::string a = R"({"token":"a","logprob":-0.50,"bytes":[97],"top_logprobs":[)"
                        R"({"token":"b","logprob":-1e-3,"bytes":null}]})";
  const std::string c = R"({"token":"c","logprob":-2,"top_logprobs":[]},{"top_logprobs":[]})";
  const std::string at = R"("item_id":"msg_T_0","output_index":0,"content_index":0)";
  const Data frames = frames_after_opening(responses(), answer);
  EXPECT_EQ(frames[2],
            frame(4, "response.output_text.delta", at + R"(,"delta":"a","logprobs":[)" + a + "]"));
  EXPECT_EQ(frames[3],
            frame(5, "response.output_text.delta", at + R"(,"delta":"b","logprobs":[])"));
  EXPECT_EQ(frames[4],
            frame(6, "response.output_text.delta", at + R"(,"delta":"c","logprobs":[)" + c + "]"));
  EXPECT_EQ(frames[5], frame(7, "response.output_text.done",
                             at + R"(,"text":"abc","logprobs":[)" + a + "," + c + "]"));
  EXPECT_EQ(frames[6], frame(8, "response.content_part.done",
                             at + ",\"part\":" + part("abc", "[" + a + "," + c + "]")));
}

TEST(ResponsesFace, AnAnswerCutOffIsIncomplete) {
  Answer answer;
  answer.text("a").complete("length");
  const std::string done = message("msg_T_0", part("a"), "incomplete");
  Data frames = frames_after_opening(responses(), answer);
  EXPECT_EQ(frames[5], frame(7, "response.output_item.done", R"("output_index":0,"item":)" + done));
  EXPECT_EQ(frames[6],
            frame(8, "response.incomplete",
                  "\"response\":" + response("incomplete", "[" + done + "]", kUsage, "null",
                                             R"({"reason":"max_output_tokens"})")));
  Answer two;
  two.call("c", "f").arguments("{}").text("a").complete("length");
  frames = frames_after_opening(responses(), two);
  EXPECT_NE(frames.back().find(R"("output":[{"id":"fc_T_0","type":"function_call",)"
                               R"("status":"completed",)"),
            std::string::npos);
  EXPECT_NE(frames.back().find(message("msg_T_1", part("a"), "incomplete")), std::string::npos);
  Answer filtered;
  filtered.complete("content_filter");
  EXPECT_EQ(frames_after_opening(responses(), filtered),
            (Data{frame(2, "response.incomplete",
                        "\"response\":" + response("incomplete", "[]", kUsage, "null",
                                                   R"({"reason":"content_filter"})"))}));
}

TEST(ResponsesFace, AFailureClosesTheItem) {
  Answer answer;
  answer.text("a").fail();
  const std::string done = message("msg_T_0", part("a"), "incomplete");
  const Data frames = frames_after_opening(responses(), answer);
  ASSERT_EQ(frames.size(), 7u);
  EXPECT_EQ(frames[6],
            frame(8, "response.failed",
                  "\"response\":" + response("failed", "[" + done + "]", "null",
                                             R"({"code":"upstream_stalled",)"
                                             R"("message":"The upstream is \"silent\"."})")));
}

TEST(ResponsesFace, ACancelledResponseIsIncompleteByName) {
  Answer answer;
  answer.cancel();
  EXPECT_EQ(frames_after_opening(responses(), answer),
            (Data{frame(2, "response.incomplete", "\"response\":" + response("cancelled"))}));
}

TEST(ResponsesFace, ABackgroundResponseBeginsAsQueued) {
  Answer answer;
  FaceOptions options = responses();
  options.background = true;
  const Data data = data_of(frames_of(options, answer));
  const std::string queued = R"("id":"resp_T","object":"response","created_at":1700000000,)"
                             R"("status":"queued","background":true,)";
  ASSERT_EQ(data.size(), 3u);
  EXPECT_TRUE(data[0].starts_with(R"({"type":"response.created","sequence_number":0,"response":{)" +
                                  queued));
  EXPECT_TRUE(data[1].starts_with(R"({"type":"response.queued","sequence_number":1,"response":{)" +
                                  queued));
  EXPECT_TRUE(data[2].starts_with(
      R"({"type":"response.in_progress","sequence_number":2,"response":{"id":"resp_T",)"
      R"("object":"response","created_at":1700000000,"status":"in_progress","background":true,)"));
}

TEST(ResponsesFace, TheEnvelopeFillsTheObjectAndTheHeadComesWithTheEnding) {
  Answer answer;
  Usage usage{30, 20};
  usage.raw = R"({"prompt_tokens":30,"completion_tokens":20,"total_tokens":51,)"
              R"("prompt_tokens_details":{"audio_tokens":0,"cached_tokens":10},)"
              R"("completion_tokens_details":{"reasoning_tokens":7}})";
  answer.head({"big-0613", "fp_1", "priority"}).complete("stop", usage);
  FaceOptions options = responses();
  options.envelope =
      R"( {"user":"u","conversation":{"id":"c"},"instructions":"Be\nbrief","metadata":{"a":"}"},)"
      "\n"
      R"("store":false,"temperature":0.5,"tools":[{"type":"function","name":"f"}],"id":"other"} )";
  const std::string before =
      R"("background":false,"error":null,"incomplete_details":null,"instructions":"Be\nbrief",)"
      R"("max_output_tokens":null,"metadata":{"a":"}"},"model":)";
  const std::string between =
      R"(,"output":[],"parallel_tool_calls":true,"previous_response_id":null,)"
      R"("reasoning":{"effort":null,"summary":null},"service_tier":)";
  const std::string after =
      R"(,"store":false,"temperature":0.5,"text":{"format":{"type":"text"}},"tool_choice":"auto",)"
      R"("tools":[{"type":"function","name":"f"}],"top_p":null,"truncation":"disabled","usage":)";
  const std::string start =
      R"({"id":"resp_T","object":"response","created_at":1700000000,"status":)";
  const std::string end = R"(,"user":"u","conversation":{"id":"c"}})";
  EXPECT_EQ(blocks_of(frames_of(options, answer)),
            (Data{frame(0, "response.created",
                        "\"response\":" + start + "\"in_progress\"," + before + "\"small\"" +
                            between + "null" + after + "null" + end),
                  frame(1, "response.in_progress",
                        "\"response\":" + start + "\"in_progress\"," + before + "\"small\"" +
                            between + "null" + after + "null" + end),
                  frame(2, "response.completed",
                        "\"response\":" + start + "\"completed\"," + before + "\"big-0613\"" +
                            between + "\"priority\"" + after +
                            R"({"input_tokens":30,"input_tokens_details":{"cached_tokens":10},)"
                            R"("output_tokens":20,"output_tokens_details":{"reasoning_tokens":7},)"
                            R"("total_tokens":51})" +
                            end)}));
}

std::string answer_of(const FaceOptions& options, const Answer& answer) {
  std::string out;
  make_face(options)->write_answer(out, answer.job());
  return out;
}

TEST(ResponsesFace, TheWholeAnswerIsTheResponseAsItsLogIsNow) {
  Answer answer;
  EXPECT_EQ(answer_of(responses(), answer), response("in_progress"));
  answer.reasoning("hm").text("a");
  const std::string reasoning =
      R"({"id":"rs_T_0","type":"reasoning","status":"completed","summary":[],)"
      R"("content":[{"type":"reasoning_text","text":"hm"}]})";
  EXPECT_EQ(answer_of(responses(), answer),
            response("in_progress",
                     "[" + reasoning + "," + message("msg_T_1", part("a"), "in_progress") + "]"));
  answer.complete();
  const std::string whole =
      response("completed", "[" + reasoning + "," + message("msg_T_1", part("a")) + "]", kUsage);
  EXPECT_EQ(answer_of(responses(), answer), whole);
  EXPECT_TRUE(frames_of(responses(), answer).ends_with("\"response\":" + whole + "}\n\n"));
}

TEST(ResponsesFace, ABackgroundResponseIsQueuedUntilItsJobRuns) {
  FaceOptions options = responses();
  options.background = true;
  Answer answer;
  EXPECT_NE(answer_of(options, answer).find(R"("status":"queued","background":true)"),
            std::string::npos);
}

TEST(ResponsesFace, KeepAliveRepeatsTheLastNumberAndTakesNone) {
  const std::unique_ptr<Face> face = make_face(responses());
  std::string out;
  face->keep_alive(out);
  EXPECT_EQ(out, "") << "before response.created";
  face->open(out);
  out.clear();
  face->keep_alive(out);
  EXPECT_EQ(out, "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":1}\n\n");
  out.clear();
  Answer answer;
  std::uint64_t next = 1;
  answer.text("a").read(*face, out, next);
  EXPECT_TRUE(out.starts_with("id: 2\n")) << out;
  out.clear();
  face->keep_alive(out);
  EXPECT_EQ(out, "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":4}\n\n");
}

TEST(ResponsesFace, KeepAliveOfAReaderAheadRepeatsItsOwnNumber) {
  FaceOptions options = responses();
  options.after = 8;  // it has the numbers up to 7
  const std::unique_ptr<Face> face = make_face(options);
  std::string out;
  face->open(out);
  EXPECT_EQ(out, "");
  face->keep_alive(out);
  EXPECT_EQ(out, "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":7}\n\n");
}

}  // namespace
}  // namespace sluice
