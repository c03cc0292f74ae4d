// Classifies the lines of stack traces by shape.
#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/ascii.h"
#include "core/logs/grouping/stack_trace.h"
#include "core/logs/line/scan.h"

namespace sluice {
namespace {

struct Prefix {
  std::string_view text;
  TraceLine kind;
};

/// Lines that their beginning identifies, sorted by first byte: see kFirstPrefix.
constexpr std::array kPrefixes = {
    Prefix{"(Use `node --trace", TraceLine::kTrailer},
    Prefix{"*** FATAL CONFIG FILE ERROR", TraceLine::kRedisFatal},
    Prefix{"--- End of stack trace from previous location", TraceLine::kCausedBy},
    Prefix{"...additional frames elided", TraceLine::kGoroutine},
    Prefix{"<asynchronous suspension>", TraceLine::kNumberedFrame},
    Prefix{"=>0x", TraceLine::kSanitizerLine},
    Prefix{"Address 0x", TraceLine::kSanitizerLine},
    Prefix{"AddressSanitizer can not ", TraceLine::kSanitizerLine},
    Prefix{"AddressSanitizer:DEADLYSIGNAL", TraceLine::kRule},
    Prefix{"Caused by:", TraceLine::kCausedBy},
    Prefix{"Direct leak of ", TraceLine::kSanitizerLine},
    Prefix{"During handling of the above exception", TraceLine::kPythonChain},
    Prefix{"HINT: ", TraceLine::kSanitizerLine},
    Prefix{"Indirect leak of ", TraceLine::kSanitizerLine},
    Prefix{"Node.js v", TraceLine::kTrailer},
    Prefix{"Objects leaked above:", TraceLine::kSanitizerLine},
    Prefix{"PHP Stack trace:", TraceLine::kStackTitle},
    Prefix{"PHP   ", TraceLine::kNumberedFrame},
    Prefix{"READ of size ", TraceLine::kSanitizerLine},
    Prefix{"SCARINESS: ", TraceLine::kSanitizerLine},
    Prefix{"SUMMARY: ", TraceLine::kSanitizerLine},
    Prefix{"Shadow byte", TraceLine::kSanitizerLine},
    Prefix{"Stack backtrace:", TraceLine::kStackTitle},
    Prefix{"Stack trace:", TraceLine::kStackTitle},
    Prefix{"Suppressed: ", TraceLine::kCausedBy},
    Prefix{"The above exception was the direct cause", TraceLine::kPythonChain},
    Prefix{"This frame has ", TraceLine::kSanitizerLine},
    Prefix{"Thread T", TraceLine::kSanitizerLine},
    Prefix{"Traceback (most recent call last):", TraceLine::kPythonTraceback},
    Prefix{"Unhandled Exception: ", TraceLine::kExceptionHead},
    Prefix{"Unhandled exception. ", TraceLine::kExceptionHead},
    Prefix{"WARNING: ThreadSanitizer: ", TraceLine::kSanitizerHead},
    Prefix{"WRITE of size ", TraceLine::kSanitizerLine},
    Prefix{"[signal ", TraceLine::kGoSignal},
    Prefix{"[stacktrace]", TraceLine::kStackTitle},
    Prefix{"allocated by thread ", TraceLine::kSanitizerLine},
    Prefix{"created by ", TraceLine::kGoCall},
    Prefix{"exception '", TraceLine::kExceptionHead},
    Prefix{"exit status ", TraceLine::kExitStatus},
    Prefix{"fatal error: ", TraceLine::kGoPanic},
    Prefix{"freed by thread ", TraceLine::kSanitizerLine},
    Prefix{"note: ", TraceLine::kTrailer},
    Prefix{"panic: ", TraceLine::kGoPanic},
    Prefix{"previously allocated by ", TraceLine::kSanitizerLine},
    Prefix{"runtime stack:", TraceLine::kGoroutine},
    Prefix{"stack backtrace:", TraceLine::kStackTitle},
};

/// By byte: the first prefix that begins with it, or with a greater one.
constexpr auto kFirstPrefix = [] {
  std::array<std::uint8_t, 129> first{};
  std::size_t at = 0;
  for (std::size_t byte = 0; byte < first.size(); ++byte) {
    while (at < kPrefixes.size() && static_cast<std::size_t>(kPrefixes[at].text.front()) < byte) {
      ++at;
    }
    first[byte] = static_cast<std::uint8_t>(at);
  }
  return first;
}();

constexpr bool is_name(char c) {
  return is_letter(c) || is_digit(c) || c == '_' || c == '$' || c == '.' || c == ':' || c == '\\';
}

bool is_blank(std::string_view line) {
  return std::all_of(line.begin(), line.end(), is_space);
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

/// Whether the last part of a name begins in upper case and ends in `Error` or the like.
bool is_exception_name(std::string_view name) {
  constexpr std::array<std::string_view, 3> kSuffixes = {"Error", "Exception", "Throwable"};
  const std::size_t separator = name.find_last_of(".:\\");
  const std::string_view last =
      separator == std::string_view::npos ? name : name.substr(separator + 1);
  if (last.empty() || !is_upper(last.front())) return false;
  return last == "UnhandledPromiseRejection" ||
         std::any_of(kSuffixes.begin(), kSuffixes.end(),
                     [last](std::string_view suffix) { return last.ends_with(suffix); });
}

/// `java.lang.IllegalStateException: text`, `TypeError [ERR_X]: text`, `KeyError`,
/// `Net::ReadError (text):`, `Uncaught ...`.
bool is_exception_head(std::string_view line) {
  if (line.starts_with("Uncaught ")) line.remove_prefix(std::string_view("Uncaught ").size());
  if (line.starts_with("Exception in thread ")) return true;
  const auto name_end = std::find_if_not(line.begin(), line.end(), is_name);
  std::string_view name = line.substr(0, static_cast<std::size_t>(name_end - line.begin()));
  while (name.ends_with(':')) name.remove_suffix(1);
  const std::string_view rest = line.substr(name.size());
  if (!is_exception_name(name)) return false;
  return rest.empty() || rest.starts_with(':') || rest.starts_with(" [") || rest == " {" ||
         (rest.starts_with(" (") && rest.ends_with("):"));
}

/// `Next App\Failure: text in /app.php:5` of PHP.
bool is_next_exception(std::string_view line) {
  constexpr std::string_view kNext = "Next ";
  if (!line.starts_with(kNext)) return false;
  const auto name_end = std::find_if_not(line.begin() + kNext.size(), line.end(), is_name);
  return name_end != line.end() && *name_end == ' ' && *(name_end - 1) == ':' &&
         line.find(" in ") != std::string_view::npos && is_digit(line.back());
}

/// `/srv/app.js:12`, `file:///srv/app.mjs:3`, `node:internal/x:1`, `[eval]:1`, `C:\app.js:2`.
bool is_node_location(std::string_view line) {
  const bool drive = line.size() > 3 && is_upper(line[0]) && line[1] == ':' && line[2] == '\\';
  if (!drive && !line.starts_with('/') && !line.starts_with("file:///") &&
      !line.starts_with("node:") && !line.starts_with("[eval")) {
    return false;
  }
  const std::size_t colon = line.rfind(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view number = line.substr(colon + 1);
  return number.size() <= 9 && all_digits(number) && line.find(' ') == std::string_view::npos;
}

/// `rax    0x0` of Go's runtime, `rax = 0x00007f` of AddressSanitizer.
bool is_register(std::string_view line) {
  const std::size_t name = line.find(' ');
  if (name == std::string_view::npos || name > 6) return false;
  const std::size_t value = line.find_first_not_of(" =", name);
  return value != std::string_view::npos && line.substr(value).starts_with("0x");
}

bool is_closer(std::string_view line) {
  return line.find_first_not_of("})],; ") == std::string_view::npos;
}

bool is_more(std::string_view text) {
  return text.starts_with("... ") && text.size() > 4 && is_digit(text[4]);
}

/// Where `:in 'f'` of a Ruby frame begins; npos elsewhere.
std::size_t find_ruby_frame(std::string_view line) {
  std::size_t at = line.find(":in ");
  while (at != std::string_view::npos) {
    const bool quoted = at + 4 < line.size() && (line[at + 4] == '`' || line[at + 4] == '\'');
    if (quoted && at > 0 && is_digit(line[at - 1])) return at;
    at = line.find(":in ", at + 1);
  }
  return at;
}

/// `main.(*T).f(0x1, ...)`: a qualified name without spaces and arguments in parentheses.
bool is_go_call(std::string_view line) {
  const std::size_t open = line.find('(');
  return open != std::string_view::npos && open > 0 && line.ends_with(')') &&
         line.substr(0, open).find_first_of(" :") == std::string_view::npos;
}

/// Lines that begin with `=`: rules and `==1==...`.
TraceLine classify_equals(std::string_view line) {
  constexpr std::size_t kRuleBytesMin = 16;
  if (line.find_first_not_of('=') == std::string_view::npos) {
    return line.size() >= kRuleBytesMin ? TraceLine::kRule : TraceLine::kPlain;
  }
  const std::size_t end = line.starts_with("==") ? digits_end(line, 2) : 0;
  if (end <= 2 || !line.substr(end).starts_with("==")) return TraceLine::kPlain;
  const std::string_view text = line.substr(end + 2);
  if (text == "ABORTING") return TraceLine::kSanitizerEnd;
  const bool reports = text.starts_with("ERROR: ") || text.starts_with("WARNING: ");
  return reports && text.find("Sanitizer: ") != std::string_view::npos ? TraceLine::kSanitizerHead
                                                                       : TraceLine::kSanitizerLine;
}

TraceLine classify_indented(std::string_view line) {
  const std::string_view text = line.substr(line.find_first_not_of(" \t"));
  switch (text.front()) {
    case '+':
      if (text.find("Traceback (most recent call last):") != std::string_view::npos) {
        return TraceLine::kPythonGroup;
      }
      return text.starts_with("+-") ? TraceLine::kPythonGroupLine : TraceLine::kIndented;
    case '|':
      // Without frames a group has no announcement.
      return text.find(" sub-exception") != std::string_view::npos &&
                     is_python_exception(text.substr(std::min<std::size_t>(2, text.size())))
                 ? TraceLine::kPythonGroup
                 : TraceLine::kPythonGroupLine;
    case '#':
      return text.size() > 1 && is_digit(text[1]) ? TraceLine::kFrame : TraceLine::kIndented;
    case 'F':
      return text.starts_with("File \"") ? TraceLine::kPythonFrame : TraceLine::kIndented;
    case '^':
      return text.find_first_not_of('^') == std::string_view::npos ? TraceLine::kCaret
                                                                   : TraceLine::kIndented;
    case 'n':
      if (text.starts_with("nested exception is:")) return TraceLine::kNestedException;
      break;
    default:
      break;
  }
  if (text.starts_with("at ") || text.starts_with("eval at ") || is_more(text) ||
      find_ruby_frame(text) != std::string_view::npos) {
    return TraceLine::kFrame;
  }
  // Rails indents its exceptions by one space.
  return line.size() == text.size() + 1 && text.ends_with("):") && is_exception_head(text)
             ? TraceLine::kExceptionHead
             : TraceLine::kIndented;
}

TraceLine classify_text(std::string_view line) {
  const auto first = static_cast<unsigned char>(line.front());
  if (first < 128) {
    for (std::size_t i = kFirstPrefix[first]; i < kFirstPrefix[first + 1U]; ++i) {
      if (line.starts_with(kPrefixes[i].text)) return kPrefixes[i].kind;
    }
  }
  if (line.starts_with("goroutine ") && line.size() > 10 && is_digit(line[10])) {
    return TraceLine::kGoroutine;
  }
  if (line.starts_with("thread '") && line.find("' ") != std::string_view::npos &&
      line.find(" panicked at ") != std::string_view::npos) {
    return TraceLine::kRustPanic;
  }
  if (line.starts_with("0x") && line.find(" is located ") != std::string_view::npos) {
    return TraceLine::kSanitizerLine;
  }
  const bool colon = line.find(':') != std::string_view::npos;
  if (colon && line.find(": runtime error: ") != std::string_view::npos) {
    return TraceLine::kSanitizerHead;
  }
  const std::size_t ruby = colon ? find_ruby_frame(line) : std::string_view::npos;
  if (ruby != std::string_view::npos) {
    return line.find("': ", ruby) == std::string_view::npos ? TraceLine::kRubyFrame
                                                            : TraceLine::kRubyHead;
  }
  if (is_exception_head(line)) return TraceLine::kExceptionHead;
  if (is_next_exception(line)) return TraceLine::kCausedBy;
  if (is_node_location(line)) return TraceLine::kNodeLocation;
  if (is_go_call(line)) return TraceLine::kGoCall;
  return is_register(line) ? TraceLine::kRegister : TraceLine::kPlain;
}

}  // namespace

TraceLine classify_trace_line(std::string_view line) {
  if (is_blank(line)) return TraceLine::kBlank;
  switch (line.front()) {
    case ' ':
    case '\t':
      return classify_indented(line);
    case '}':
    case ']':
    case ')':
      return is_closer(line) ? TraceLine::kCloser : TraceLine::kPlain;
    case '^':
      return line.find_first_not_of('^') == std::string_view::npos ? TraceLine::kCaret
                                                                   : TraceLine::kPlain;
    case '#': {
      const std::size_t end = digits_end(line, 1);
      return end > 1 && end < line.size() && line[end] == ' ' ? TraceLine::kNumberedFrame
                                                              : TraceLine::kPlain;
    }
    case '=':
      return line.starts_with("=>0x") ? TraceLine::kSanitizerLine : classify_equals(line);
    case '.':
      if (is_more(line)) return TraceLine::kCausedBy;
      break;
    case 'U':
      if (line == "Unhandled exception:") return TraceLine::kAnnouncement;
      break;
    default:
      break;
  }
  return classify_text(line);
}

bool is_python_exception(std::string_view line) {
  const auto is_part = [](char c) {
    return is_letter(c) || is_digit(c) || c == '_' || c == '.' || c == '<' || c == '>' ||
           (static_cast<unsigned char>(c) & 0x80) != 0;
  };
  const auto end = std::find_if_not(line.begin(), line.end(), is_part);
  const auto length = static_cast<std::size_t>(end - line.begin());
  const std::string_view name = line.substr(0, length);
  if (name.empty() || is_digit(name.front()) || name.front() == '.') return false;
  if (line.size() > length) return line.substr(length).starts_with(": ") || line.ends_with(':');
  // Without a message a word in small letters is more likely a line of something else.
  return is_upper(name.front()) || name.find('.') != std::string_view::npos;
}

}  // namespace sluice
