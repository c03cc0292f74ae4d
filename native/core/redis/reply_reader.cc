#include "core/redis/reply_reader.h"

#include <algorithm>
#include <new>
#include <utility>

#ifdef SLUICE_HAS_HIREDIS
#include <hiredis/read.h>
#endif

namespace sluice::redis {

#ifdef SLUICE_HAS_HIREDIS

namespace {

// More items are made room for as they come.
constexpr int kItemsReserved = 1024;

Reply& root_of(const redisReadTask* task) {
  return *static_cast<Reply*>(task->privdata);
}

// The reply that a task of hiredis fills. hiredis completes the items of an array in order, so the
// items before it, which may move, are complete.
Reply& place_of(const redisReadTask* task) {
  if (task->parent == nullptr) return root_of(task) = Reply{};
  return static_cast<Reply*>(task->parent->obj)->items.emplace_back();
}

void* create_string(const redisReadTask* task, char* text, std::size_t size) {
  Reply& reply = place_of(task);
  reply.kind = task->type == REDIS_REPLY_ERROR ? Reply::Kind::kError : Reply::Kind::kText;
  reply.text.assign(text, size);
  return &reply;
}

void* create_array(const redisReadTask* task, int items) {
  Reply& reply = place_of(task);
  reply.kind = Reply::Kind::kArray;
  reply.items.reserve(static_cast<std::size_t>(std::clamp(items, 0, kItemsReserved)));
  return &reply;
}

void* create_integer(const redisReadTask* task, long long value) {
  Reply& reply = place_of(task);
  reply.kind = Reply::Kind::kInteger;
  reply.integer = value;
  return &reply;
}

void* create_nil(const redisReadTask* task) {
  return &place_of(task);
}

// The reply belongs to the ReplyReader.
void free_object(void* /*reply*/) {}

redisReplyObjectFunctions kFunctions{create_string, create_array, create_integer, create_nil,
                                     free_object};

}  // namespace

struct ReplyReader::State {
  State() : reader(redisReaderCreateWithFunctions(&kFunctions)) {
    if (reader == nullptr) throw std::bad_alloc();
    reader->privdata = &reply;  // the macro for it casts pointers to int
  }
  ~State() { redisReaderFree(reader); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  redisReader* reader;
  Reply reply;  // in the making
};

bool ReplyReader::available() {
  return true;
}

void ReplyReader::feed(std::string_view bytes) {
  redisReaderFeed(state_->reader, bytes.data(), bytes.size());
}

ReplyReader::Status ReplyReader::next(Reply& reply) {
  void* complete = nullptr;
  if (redisReaderGetReply(state_->reader, &complete) != REDIS_OK) {
    problem_ = state_->reader->errstr;
    return Status::kBad;
  }
  if (complete == nullptr) return Status::kMore;
  reply = std::exchange(state_->reply, {});
  return Status::kReply;
}

#else

struct ReplyReader::State {};

bool ReplyReader::available() {
  return false;
}

void ReplyReader::feed(std::string_view /*bytes*/) {}

ReplyReader::Status ReplyReader::next(Reply& /*reply*/) {
  problem_ = "built without hiredis";
  return Status::kBad;
}

#endif

ReplyReader::ReplyReader() : state_(std::make_unique<State>()) {}
ReplyReader::~ReplyReader() = default;

void ReplyReader::reset() {
  state_ = std::make_unique<State>();
  problem_.clear();
}

}  // namespace sluice::redis
