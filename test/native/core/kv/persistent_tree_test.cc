// The tree shared by copies, against ordered maps, with copies made and dropped throughout.
#include "core/kv/persistent_tree.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <string>

namespace sluice {
namespace {

using TreeModel = std::map<std::string, KvVersion>;

KvUsage usage(const TreeModel& model) {
  KvUsage sum;
  for (const auto& [key, version] : model) {
    sum.keys += 1;
    sum.bytes += key.size() + version % 7;
  }
  return sum;
}

TreeModel content(const KvTree& tree, std::string_view from = {}) {
  TreeModel found;
  std::string last;
  tree.walk(from, [&](const KvEntryRef& entry) {
    EXPECT_TRUE(found.empty() || entry->key > last) << "out of order";
    last = entry->key;
    found.emplace(entry->key, entry->version);
    return true;
  });
  return found;
}

TEST(KvTree, CopiesKeepTheirContentOverRandomHistories) {
  const Ref<KvHeld> held(new KvHeld);
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    KvTree tree;
    TreeModel model;
    std::deque<std::pair<KvTree, TreeModel>> copies;
    const unsigned spread = 1 + seed * 20;
    for (KvVersion step = 1; step < 3000; ++step) {
      const std::string key = std::to_string(random() % spread);
      if (random() % 3 != 0) {
        const KvEntryRef former = tree.put(KvEntryRef(
            new KvEntry(key, {std::string(step % 7, 'x')}, step, kNever, SlotLists::kNone, held)));
        const auto known = model.find(key);
        ASSERT_EQ(former ? former->version : kAbsent, known == model.end() ? 0 : known->second);
        model[key] = step;
      } else {
        const KvEntryRef former = tree.take(key);
        ASSERT_EQ(former ? 1u : 0u, model.erase(key));
      }
      if (random() % 50 == 0) copies.emplace_back(tree, model);
      if (random() % 60 == 0 && !copies.empty()) copies.pop_front();
      if (step % 100 != 0) continue;
      ASSERT_EQ(content(tree), model);
      ASSERT_EQ(tree.usage(), usage(model));
      ASSERT_EQ(tree.usage_before(key), usage(TreeModel(model.begin(), model.lower_bound(key))));
      ASSERT_EQ(content(tree, key), TreeModel(model.lower_bound(key), model.end()));
      for (const auto& [copy, then] : copies) ASSERT_EQ(content(copy), then);
    }
  }
  EXPECT_EQ(held->bytes, 0u);
}

// An unbalanced tree would be as deep as it has keys, and walking it would overflow the stack.
TEST(KvTree, StaysFlatWhenKeysComeInOrder) {
  const Ref<KvHeld> held(new KvHeld);
  KvTree tree;
  constexpr int kKeys = 200'000;
  for (int i = 0; i < kKeys; ++i) {
    std::string key = std::to_string(1'000'000 + i);
    tree.put(KvEntryRef(new KvEntry(std::move(key), {}, 1, kNever, SlotLists::kNone, held)));
  }
  for (int i = 0; i < kKeys; i += 2) {
    ASSERT_TRUE(tree.take(std::to_string(1'000'000 + i)));
  }
  EXPECT_EQ(content(tree).size(), kKeys / 2u);
  EXPECT_NE(tree.find("1000001"), nullptr);
  EXPECT_EQ(tree.find("1000000"), nullptr);
}

}  // namespace
}  // namespace sluice
