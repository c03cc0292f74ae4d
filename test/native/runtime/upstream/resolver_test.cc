// Addresses of host names.
#include "runtime/upstream/resolver.h"

#include <string>
#include <vector>

#include "runtime/upstream/loop_fixture.h"

namespace sluice {
namespace {

SocketAddress address_from(const std::string& text) {
  SocketAddress address{};
  EXPECT_TRUE(parse_address(text, address)) << text;
  return address;
}

std::string address_text(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    uv_ip6_name(reinterpret_cast<const sockaddr_in6*>(&address), text, sizeof text);
  } else {
    uv_ip4_name(reinterpret_cast<const sockaddr_in*>(&address), text, sizeof text);
  }
  return text;
}

struct Waiter final : public Resolver::Waiter {
  void on_addresses(const std::vector<SocketAddress>& found) override {
    calls += 1;
    addresses = found;
  }
  int calls = 0;
  std::vector<SocketAddress> addresses;
};

class ResolverTest : public LoopTest {};

TEST_F(ResolverTest, AnAddressNeedsNoLookUp) {
  Resolver resolver(&loop_);
  for (const char* text : {"127.0.0.1", "::1", "fe80::1"}) {
    const auto* const known = resolver.known(text, 0);
    ASSERT_NE(known, nullptr);
    ASSERT_EQ(known->size(), 1u);
    EXPECT_EQ(address_text(known->front()), text);
  }
  EXPECT_EQ(resolver.known("localhost", 0), nullptr);
  EXPECT_EQ(resolver.known("127.0.0.1.example", 0), nullptr);
}

TEST_F(ResolverTest, ANameIsLookedUpOnceAndRemembered) {
  Resolver resolver(&loop_);
  Waiter first;
  Waiter second;
  Waiter forgotten;
  for (Waiter* waiter : {&first, &second, &forgotten}) {
    EXPECT_TRUE(resolver.look_up("localhost", *waiter));
  }
  resolver.forget(forgotten);
  EXPECT_EQ(first.calls, 0) << "it is called later";
  run_until([&] { return first.calls > 0 && second.calls > 0; });
  EXPECT_EQ(forgotten.calls, 0);
  ASSERT_FALSE(first.addresses.empty());
  const auto* const known = resolver.known("localhost", 0);
  ASSERT_NE(known, nullptr);
  EXPECT_EQ(known->size(), first.addresses.size());
  EXPECT_EQ(resolver.known("localhost", kNever - 1), nullptr) << "not for ever";
}

TEST_F(ResolverTest, AFailureIsReportedAndNotRemembered) {
  Resolver resolver(&loop_);
  const std::string no_name(300, 'x');  // longer than a name can be
  for (int round = 1; round <= 2; ++round) {
    Waiter waiter;
    EXPECT_TRUE(resolver.look_up(no_name, waiter));
    run_until([&] { return waiter.calls > 0; });
    EXPECT_TRUE(waiter.addresses.empty());
    EXPECT_EQ(resolver.known(no_name, 0), nullptr);
  }
}

TEST_F(ResolverTest, ItMayGoWhileItLooksUp) {
  for (int round = 0; round < 20; ++round) {
    Waiter waiter;
    Resolver resolver(&loop_);
    EXPECT_TRUE(resolver.look_up("localhost", waiter));
  }
}

TEST(Interleave, AlternatesBetweenFamilies) {
  std::vector<SocketAddress> addresses;
  for (const char* text : {"::1", "::2", "::3", "10.0.0.1", "10.0.0.2"}) {
    addresses.push_back(address_from(text));
  }
  std::vector<std::string> order;
  for (const SocketAddress& address : interleave(addresses)) order.push_back(address_text(address));
  EXPECT_EQ(order, (std::vector<std::string>{"::1", "10.0.0.1", "::2", "10.0.0.2", "::3"}));
  EXPECT_TRUE(interleave({}).empty());
}

}  // namespace
}  // namespace sluice
