// URLs of plain calls and the heads of their requests.
#include "core/upstream/http_request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice {
namespace {

void expect_url(const std::string& url, const std::string& host, int port,
                const std::string& authority, const std::string& target) {
  const auto parsed = parse_http_url(url);
  ASSERT_TRUE(parsed) << url;
  EXPECT_EQ(parsed->host, host) << url;
  EXPECT_EQ(parsed->port, port) << url;
  EXPECT_EQ(parsed->authority, authority) << url;
  EXPECT_EQ(parsed->target, target) << url;
}

TEST(HttpUrl, HasItsParts) {
  expect_url("http://localhost:8000/v1/chat/completions?a=b", "localhost", 8000, "localhost:8000",
             "/v1/chat/completions?a=b");
  expect_url("http://model.example", "model.example", 80, "model.example", "/");
  expect_url("HTTP://10.0.0.1?x=http://y:1/", "10.0.0.1", 80, "10.0.0.1", "/?x=http://y:1/");
  expect_url("http://[::1]:8080/p#fragment", "::1", 8080, "[::1]:8080", "/p");
  expect_url("http://[fe80::1]/", "fe80::1", 80, "[fe80::1]", "/");
}

TEST(HttpUrl, RefusesOthers) {
  for (const char* url : {"https://localhost/", "ftp://localhost/", "localhost/", "http://",
                          "http:///v1", "http://user:secret@host/", "http://host:0/",
                          "http://host:65536/", "http://host:x/", "http://[::1", "http://[::1]x/",
                          "http://host/a b", "http://host/a\r\nx: y", "http://host/\x7f", ""}) {
    EXPECT_FALSE(parse_http_url(url)) << url;
  }
}

TEST(PostHead, AddsHostAcceptAndLength) {
  const RequestHead head = post_head(*parse_http_url("http://localhost:8000/v1/x?a=b"),
                                     {"content-type: text/plain"}, 12);
  EXPECT_EQ(head.text,
            "POST /v1/x?a=b HTTP/1.1\r\nHost: localhost:8000\r\nAccept: */*\r\n"
            "content-type: text/plain\r\nContent-Length: 12\r\n\r\n");
  EXPECT_FALSE(head.closes);
}

TEST(PostHead, KeepsHeadersOfTheCallerExceptThoseOfTheLength) {
  const RequestHead head =
      post_head(*parse_http_url("http://a/"),
                {"Host: other", "accept: text/event-stream", "content-length: 99",
                 "Transfer-Encoding: gzip", "expect: 100-continue", "x-empty:", "nonsense"},
                0);
  EXPECT_EQ(head.text,
            "POST / HTTP/1.1\r\nHost: other\r\naccept: text/event-stream\r\nx-empty:\r\n"
            "Content-Length: 0\r\n\r\n");
}

TEST(PostHead, ReportsWhetherTheConnectionMustBeClosed) {
  const auto url = *parse_http_url("http://a/");
  EXPECT_TRUE(post_head(url, {"connection: keep-alive, Close"}, 0).closes);
  EXPECT_FALSE(post_head(url, {"connection: keep-alive"}, 0).closes);
  EXPECT_FALSE(post_head(url, {"x-connection: close"}, 0).closes);
}

}  // namespace
}  // namespace sluice
