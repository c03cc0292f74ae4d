#include "runtime/upstream/client.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace sluice {

namespace {

bool prefers_libcurl() {
  const char* const name = std::getenv("SLUICE_HTTP_CLIENT");
  return name != nullptr && std::string_view(name) == "libcurl";
}

// The variables that libcurl reads for `http:` URLs. It also decides which hosts are exempt.
bool has_proxy() {
  constexpr std::array<const char*, 3> kVariables{"http_proxy", "all_proxy", "ALL_PROXY"};
  return std::any_of(kVariables.begin(), kVariables.end(), [](const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr && *value != '\0';
  });
}

}  // namespace

UpstreamClient::UpstreamClient(uv_loop_t* loop, Owner& owner, Plain plain)
    : loop_(loop), activity_(loop, owner) {
  const bool by_curl = plain == Plain::kCurl || prefers_libcurl();
  if (!by_curl) plain_ = std::make_unique<PlainClient>(loop, activity_);
}

CurlClient* UpstreamClient::curl() {
  if (!curl_) curl_ = CurlClient::create(loop_, activity_);
  return curl_.get();
}

std::unique_ptr<UpstreamTransfer> UpstreamClient::post(UpstreamRequest request,
                                                       UpstreamReceiver& receiver) {
  if (plain_ && !has_proxy()) {
    if (auto transfer = plain_->post(request, receiver)) return transfer;
  }
  CurlClient* const client = curl();
  return client == nullptr ? nullptr : client->post(std::move(request), receiver);
}

}  // namespace sluice
