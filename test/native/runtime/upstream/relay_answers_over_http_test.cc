// Known answers of upstreams, from the table that the HTTP tests read as well, over real sockets in
// each framing of a body: both clients pass the same bytes to the relay.
#include <rapidjson/document.h>

#include <algorithm>
#include <string>

#include "core/upstream/answer_table.h"
#include "runtime/upstream/relays_fixture.h"

namespace sluice {
namespace {

std::string head_of(const rapidjson::Value& row) {
  const int status = row.HasMember("status") ? row["status"].GetInt() : 200;
  std::string head = "HTTP/1.1 " + std::to_string(status) + " Known\r\n";
  const std::string type = text_of(row, "type", "text/event-stream");
  if (!type.empty()) head += "Content-Type: " + type + "\r\n";
  if (row.HasMember("headers")) {
    for (const auto& header : row["headers"].GetObject()) {
      head += std::string(header.name.GetString()) + ": " + header.value.GetString() + "\r\n";
    }
  }
  return head;
}

enum class Framing { kChunks, kLength, kClose };

std::string response_of(const rapidjson::Value& row, Framing framing) {
  const std::string body = text_of(row, "body");
  const bool cut = row.HasMember("cut");
  if (framing == Framing::kLength) {
    const std::size_t size = body.size() + (cut ? 1 : 0);
    return head_of(row) + "Content-Length: " + std::to_string(size) + "\r\n\r\n" + body;
  }
  if (framing == Framing::kClose && !cut) return head_of(row) + "\r\n" + body;
  constexpr std::size_t kChunkBytes = 57;
  std::string response = head_of(row) + "Transfer-Encoding: chunked\r\n\r\n";
  for (std::size_t at = 0; at < body.size(); at += kChunkBytes) {
    response += chunk(body.substr(at, kChunkBytes));
  }
  return cut ? response : response + "0\r\n\r\n";
}

class RelayAnswersOverHttpTest : public RelayHubTest {};

TEST_P(RelayAnswersOverHttpTest, AnAnswerIsThatOfTheTableInEachFraming) {
  const rapidjson::Document table = read_table();
  Server server([&](Peer& peer) {
    while (peer.request()) {
      const std::size_t comma = peer.body().find(',');
      const auto index = static_cast<rapidjson::SizeType>(std::stoul(peer.body()));
      const auto framing = static_cast<Framing>(std::stoul(peer.body().substr(comma + 1)));
      const rapidjson::Value& row = table[index];
      peer.send_all(response_of(row, framing));
      if (row.HasMember("cut") || framing == Framing::kClose) return;
    }
  });
  const Lease hub = make_hub();
  CallId id = 0;
  for (rapidjson::SizeType index = 0; index < table.Size(); ++index) {
    const rapidjson::Value& row = table[index];
    SCOPED_TRACE(text_of(row, "name"));
    std::string first;
    for (int framing = 0; framing < 3; ++framing) {
      id += 1;
      call(id, server.url(), std::to_string(index) + "," + std::to_string(framing));
      wait_for_end(id);
      const std::string found = outcome(id).to_json();
      if (framing == 0) first = found;
      EXPECT_EQ(found, first) << "framing " << framing;
      EXPECT_EQ(outcome(id).failure != RelayOutcome::Failure::kNone, row.HasMember("error"))
          << found;
      rapidjson::Document shown;
      const std::string json = state(id);
      shown.Parse(json.c_str());
      EXPECT_EQ(text_of(shown, "text"), text_of(row, "text"));
      eventually([this] { return calls() == 0; });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(By, RelayAnswersOverHttpTest, testing::Values(Plain::kOwn, Plain::kCurl),
                         name_of_client);

}  // namespace
}  // namespace sluice
