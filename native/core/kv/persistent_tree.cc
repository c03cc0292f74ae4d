#include "core/kv/persistent_tree.h"

#include <algorithm>
#include <utility>

namespace sluice {

KvEntryRef KvTree::put(const KvEntryRef& entry) {
  return put_in(root_, entry);
}

KvEntryRef KvTree::take(std::string_view key) {
  // Searches first, so that no node is copied needlessly.
  if (find(key) == nullptr) return {};
  return take_from(root_, key);
}

const KvEntry* KvTree::find(std::string_view key) const {
  const Node* node = root_.get();
  while (node != nullptr) {
    const int order = key.compare(node->entry->key);
    if (order == 0) return node->entry.get();
    node = order < 0 ? node->left.get() : node->right.get();
  }
  return nullptr;
}

KvUsage KvTree::usage_before(std::string_view key) const {
  KvUsage sum;
  const Node* node = root_.get();
  while (node != nullptr) {
    if (node->entry->key < key) {
      const KvUsage left = usage_of(node->left);
      sum.keys += left.keys + 1;
      sum.bytes += left.bytes + node->entry->size();
      node = node->right.get();
    } else {
      node = node->left.get();
    }
  }
  return sum;
}

void KvTree::measure(Node& node) {
  node.height = 1 + std::max(height_of(node.left), height_of(node.right));
  const KvUsage left = usage_of(node.left);
  const KvUsage right = usage_of(node.right);
  node.usage = {left.keys + right.keys + 1, left.bytes + right.bytes + node.entry->size()};
}

// Requires that the caller is the only owner of the parent node: a node below a shared node is
// shared too, even if its own count is 1.
KvTree::Node& KvTree::own(Ref<Node>& at) {
  if (!at.unique()) at = Ref<Node>(new Node(*at));
  return *at;
}

void KvTree::rotate_left(Ref<Node>& at) {
  own(at->right);
  Ref<Node> top = std::move(at->right);
  at->right = std::move(top->left);
  measure(*at);
  top->left = std::move(at);
  measure(*top);
  at = std::move(top);
}

void KvTree::rotate_right(Ref<Node>& at) {
  own(at->left);
  Ref<Node> top = std::move(at->left);
  at->left = std::move(top->right);
  measure(*at);
  top->right = std::move(at);
  measure(*top);
  at = std::move(top);
}

void KvTree::balance(Ref<Node>& at) {
  const std::int32_t lean = height_of(at->left) - height_of(at->right);
  if (lean > 1) {
    Node& left = own(at->left);
    if (height_of(left.left) < height_of(left.right)) rotate_left(at->left);
    rotate_right(at);
  } else if (lean < -1) {
    Node& right = own(at->right);
    if (height_of(right.right) < height_of(right.left)) rotate_right(at->right);
    rotate_left(at);
  } else {
    measure(*at);
  }
}

KvEntryRef KvTree::put_in(Ref<Node>& at, const KvEntryRef& entry) {
  if (!at) {
    at = Ref<Node>(new Node(entry));
    return {};
  }
  Node& node = own(at);
  const int order = entry->key.compare(node.entry->key);
  if (order == 0) {
    KvEntryRef former = std::exchange(node.entry, entry);
    measure(node);
    return former;
  }
  KvEntryRef former = put_in(order < 0 ? node.left : node.right, entry);
  balance(at);
  return former;
}

// Requires that the key is present.
KvEntryRef KvTree::take_from(Ref<Node>& at, std::string_view key) {
  Node& node = own(at);
  const int order = key.compare(node.entry->key);
  KvEntryRef taken;
  if (order != 0) {
    taken = take_from(order < 0 ? node.left : node.right, key);
  } else {
    taken = node.entry;
    if (!node.left || !node.right) {
      replace_by_child(at);
      return taken;
    }
    node.entry = take_first(node.right);
  }
  balance(at);
  return taken;
}

KvEntryRef KvTree::take_first(Ref<Node>& at) {
  Node& node = own(at);
  if (!node.left) {
    KvEntryRef first = node.entry;
    replace_by_child(at);
    return first;
  }
  KvEntryRef first = take_first(node.left);
  balance(at);
  return first;
}

void KvTree::replace_by_child(Ref<Node>& at) {
  Ref<Node> child = std::move(at->left ? at->left : at->right);
  at = std::move(child);
}

}  // namespace sluice
