#include "core/redis/link_options.h"

#include <algorithm>

namespace sluice::redis {

namespace {

// CLIENT SETNAME takes visible ASCII characters alone.
std::string client_name(const LinkOptions& options, std::string_view role) {
  std::string name("sluice:");
  std::ranges::copy_if(options.process, std::back_inserter(name),
                       [](char c) { return c > ' ' && c <= '~'; });
  return name.append(1, ':').append(role);
}

}  // namespace

std::vector<Command> login_commands(const LinkOptions& options, std::string_view role) {
  std::vector<Command> commands;
  if (!options.password.empty()) {
    Command& auth = commands.emplace_back(Command{"AUTH"});
    if (!options.user.empty()) auth.push_back(options.user);
    auth.push_back(options.password);
  }
  commands.push_back({"CLIENT", "SETNAME", client_name(options, role)});
  return commands;
}

Failure failure_of(const Reply& error, State otherwise) {
  const State state = meaning_of(error.text).state;
  return {state == State::kOk ? otherwise : state, error.text};
}

Failure check_login(const std::vector<Reply>& replies) {
  for (const Reply& reply : replies) {
    if (reply.kind == Reply::Kind::kError) return failure_of(reply, State::kRefused);
  }
  return {};
}

}  // namespace sluice::redis
