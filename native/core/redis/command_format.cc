#include "core/redis/command_format.h"

#include <array>
#include <charconv>
#include <string_view>

namespace sluice::redis {

namespace {

constexpr std::string_view kCrlf = "\r\n";

void append_length(std::string& out, char type, std::size_t length) {
  std::array<char, 20> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), length);
  static_cast<void>(error);  // 20 digits hold every size
  out.push_back(type);
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
  out.append(kCrlf);
}

}  // namespace

void append_command(std::string& out, const Command& command) {
  append_length(out, '*', command.size());
  for (const std::string& argument : command) {
    append_length(out, '$', argument.size());
    out.append(argument).append(kCrlf);
  }
}

}  // namespace sluice::redis
