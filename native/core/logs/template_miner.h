// Groups messages by the template that they were made from: the Drain algorithm (P. He, J. Zhu,
// Z. Zheng, M. R. Lyu: "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017).
//
// One miner per parser, used by one thread at a time. It reads no clock; the same messages in the
// same order give the same templates.
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

/// What stands in a template for what varies.
inline constexpr std::string_view kLogWildcard = "<*>";

/// The tree has the paper's depth 4: the root, the number of words, the first word, the second
/// word, and below that the templates. Before that, words that hold a digit are masked (the
/// paper's step 1), whole or behind a `=`. A message joins the template that agrees with it in most
/// words, if these are at least `similarity` of all; of equals the one with more wildcards (as the
/// authors' program does), of those the oldest. Where they differ, the template gets a wildcard.
class LogTemplates {
 public:
  struct Limits {
    std::size_t templates = 1000;  ///< Beyond it the one with the fewest messages is forgotten.
    std::size_t children = 100;    ///< Words told apart at one place of the tree.
    std::size_t words = 48;        ///< Of a message that are looked at.
    std::size_t bytes = 512;       ///< Of a message that are looked at.
    double similarity = 0.4;
  };
  /// Called with the id of a template that is forgotten.
  using OnForget = std::function<void(std::uint64_t id)>;

  explicit LogTemplates(Limits limits) : limits_(limits) {}

  /// The id of the template of `message`, which is made if need be. Ids count up from 1.
  std::uint64_t add(std::string_view message, const OnForget& on_forget);

  /// The words of a template.
  [[nodiscard]] std::string text(std::uint64_t id) const;
  [[nodiscard]] std::size_t size() const { return templates_.size(); }

 private:
  using Words = std::vector<std::string>;
  struct Template {
    Words words;
    std::uint64_t count = 0;
    std::uint64_t touched = 0;  // When it was last matched, in messages.
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
  Words words_;  // Of the message at hand.
  std::size_t word_count_ = 0;
  std::uint64_t next_id_ = 1;
  std::uint64_t messages_ = 0;
};

}  // namespace sluice
