// Groups messages by template with the Drain algorithm (P. He, J. Zhu, Z. Zheng, M. R. Lyu: "Drain:
// An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017).
//
// One miner per parser, used by one thread at a time. Deterministic: it reads no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sluice {

/// Stands in a template for a variable word.
inline constexpr std::string_view kLogWildcard = "<*>";

/// The tree has the paper's depth of 4: root, number of words, first word, second word, templates.
/// Words with a digit are masked first (the paper's step 1), whole or behind a `=`. A message joins
/// the template that agrees with it in most words, if in at least the share `similarity`; among
/// equals the one with more wildcards (as in the authors' program), then the oldest. Words that
/// differ become wildcards of the template.
class LogTemplates {
 public:
  struct Limits {
    std::size_t templates = 1000;  ///< Beyond it the one with the fewest messages is forgotten.
    std::size_t children = 100;    ///< Distinct words in one node of the tree.
    std::size_t words = 48;        ///< Words considered of a message.
    std::size_t bytes = 512;       ///< Bytes considered of a message.
    double similarity = 0.4;
  };
  /// Called with the id of each template that is forgotten.
  using OnForget = std::function<void(std::uint64_t id)>;

  explicit LogTemplates(Limits limits) : limits_(limits) {}

  /// The id of the template of `message`, created if necessary. Ids count up from 1.
  std::uint64_t add(std::string_view message, const OnForget& on_forget);

  /// The words of a template.
  [[nodiscard]] std::string text(std::uint64_t id) const;
  [[nodiscard]] std::size_t size() const { return templates_.size(); }

 private:
  using Words = std::vector<std::string>;
  struct Template {
    Words words;
    std::uint64_t count = 0;
    std::uint64_t touched = 0;  // Number of the message that matched it last.
  };
  using Ids = std::vector<std::uint64_t>;
  using Children = std::map<std::string, Ids, std::less<>>;    // By second word.
  using Nodes = std::map<std::string, Children, std::less<>>;  // By first word.

  void split(std::string_view message);
  template <typename Level>
  [[nodiscard]] std::string_view branch(const Level& level, std::size_t word) const;
  [[nodiscard]] std::uint64_t best(const Ids& ids) const;
  std::uint64_t create(const OnForget& on_forget);
  void forget_least(const OnForget& on_forget);

  Limits limits_;
  std::unordered_map<std::size_t, Nodes> tree_;  // By the number of words.
  std::map<std::uint64_t, Template> templates_;
  struct Place {
    std::size_t length;
    std::string first;
    std::string second;
  };
  std::unordered_map<std::uint64_t, Place> places_;
  Words words_;  // Of the current message.
  std::size_t word_count_ = 0;
  std::uint64_t next_id_ = 1;
  std::uint64_t messages_ = 0;
};

}  // namespace sluice
