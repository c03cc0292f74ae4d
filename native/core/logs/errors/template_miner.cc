#include "core/logs/errors/template_miner.h"

#include <algorithm>

#include "core/base/ascii.h"
#include "core/base/utf8.h"

namespace sluice {
namespace {

/// Punctuation around a variable word that is no part of it.
constexpr std::string_view kOpening = "([{<\"'`";
constexpr std::string_view kClosing = ")]}>\"'`,;:.!?";

bool has_digit(std::string_view text) {
  // find_first_of would search the set for each character.
  return std::any_of(text.begin(), text.end(), is_digit);
}

/// Appends the word to `out`, masked if it holds a digit: `(111:` as `(<*>:`, `port=80` as
/// `port=<*>`.
void mask(std::string_view word, std::string& out) {
  out.clear();
  if (!has_digit(word)) {
    out.append(word);
    return;
  }
  const std::size_t begin = std::min(word.find_first_not_of(kOpening), word.size());
  out.append(word.substr(0, begin));
  word.remove_prefix(begin);
  const std::size_t end = word.find_last_not_of(kClosing) + 1;
  const std::size_t equals = word.find('=');
  if (equals != std::string_view::npos && equals < end && !has_digit(word.substr(0, equals))) {
    out.append(word.substr(0, equals + 1));
  }
  out.append(kLogWildcard);
  out.append(word.substr(end));
}

bool is_wild(std::string_view word) {
  return word.find(kLogWildcard) != std::string_view::npos;
}

}  // namespace

/// Fills `words_`, whose strings are reused.
void LogTemplates::split(std::string_view message) {
  word_count_ = 0;
  if (message.size() > limits_.bytes) {
    message = message.substr(0, limits_.bytes);
    message = message.substr(0, valid_utf8_prefix(message));
  }
  std::size_t at = 0;
  while (word_count_ < limits_.words) {
    while (at < message.size() && is_space(message[at])) ++at;
    if (at == message.size()) return;
    const std::size_t begin = at;
    while (at < message.size() && !is_space(message[at])) ++at;
    if (word_count_ == words_.size()) words_.emplace_back();
    mask(message.substr(begin, at - begin), words_[word_count_++]);
  }
}

/// The key of a word of the message in a node of the tree.
template <typename Level>
std::string_view LogTemplates::branch(const Level& level, std::size_t word) const {
  if (word >= word_count_ || is_wild(words_[word])) return kLogWildcard;
  if (level.find(words_[word]) != level.end()) return words_[word];
  return level.size() < limits_.children ? std::string_view(words_[word]) : kLogWildcard;
}

std::uint64_t LogTemplates::add(std::string_view message, const OnForget& on_forget) {
  split(message);
  ++messages_;
  std::uint64_t id = 0;
  if (const auto nodes = tree_.find(word_count_); nodes != tree_.end()) {
    const auto children = nodes->second.find(branch(nodes->second, 0));
    if (children != nodes->second.end()) {
      const auto ids = children->second.find(branch(children->second, 1));
      if (ids != children->second.end()) id = best(ids->second);
    }
  }
  if (id == 0) id = create(on_forget);
  Template& found = templates_.at(id);
  for (std::size_t i = 0; i < word_count_; ++i) {
    if (found.words[i] != words_[i]) found.words[i] = kLogWildcard;
  }
  ++found.count;
  found.touched = messages_;
  return id;
}

/// The most similar of the templates, which are in order of age; 0 if none is similar enough.
std::uint64_t LogTemplates::best(const Ids& ids) const {
  std::uint64_t best_id = 0;
  std::size_t best_equal = 0;
  std::size_t best_wild = 0;
  for (const std::uint64_t id : ids) {
    const Words& words = templates_.at(id).words;
    std::size_t equal = 0;
    std::size_t wild = 0;
    for (std::size_t i = 0; i < word_count_; ++i) {
      if (words[i] == kLogWildcard) ++wild;
      if (words[i] == words_[i]) ++equal;
    }
    const bool better = equal > best_equal || (equal == best_equal && wild > best_wild);
    if (best_id != 0 && !better) continue;
    best_id = id;
    best_equal = equal;
    best_wild = wild;
  }
  const double needed = limits_.similarity * static_cast<double>(word_count_);
  return static_cast<double>(best_equal) >= needed ? best_id : 0;
}

std::uint64_t LogTemplates::create(const OnForget& on_forget) {
  if (templates_.size() >= limits_.templates) forget_least(on_forget);
  const std::uint64_t id = next_id_++;
  Template& made = templates_[id];
  made.words.assign(words_.begin(), words_.begin() + static_cast<std::ptrdiff_t>(word_count_));
  Nodes& nodes = tree_[word_count_];
  std::string first(branch(nodes, 0));
  Children& children = nodes[first];
  std::string second(branch(children, 1));
  children[second].push_back(id);
  places_[id] = {word_count_, std::move(first), std::move(second)};
  return id;
}

/// Forgets the template with the fewest messages; among equals the one matched least recently.
void LogTemplates::forget_least(const OnForget& on_forget) {
  const auto least =
      std::min_element(templates_.begin(), templates_.end(), [](const auto& a, const auto& b) {
        const Template& one = a.second;
        const Template& other = b.second;
        return one.count != other.count ? one.count < other.count : one.touched < other.touched;
      });
  const std::uint64_t id = least->first;
  const Place place = std::move(places_.at(id));
  places_.erase(id);
  Nodes& nodes = tree_.at(place.length);
  Children& children = nodes.at(place.first);
  std::erase(children.at(place.second), id);
  // Empty nodes would count as children.
  if (children.at(place.second).empty()) children.erase(place.second);
  if (children.empty()) nodes.erase(place.first);
  if (nodes.empty()) tree_.erase(place.length);
  templates_.erase(least);
  on_forget(id);
}

std::string LogTemplates::text(std::uint64_t id) const {
  std::string text;
  for (const std::string& word : templates_.at(id).words) {
    if (!text.empty()) text.push_back(' ');
    text.append(word);
  }
  return text;
}

}  // namespace sluice
