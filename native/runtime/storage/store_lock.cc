#include "runtime/storage/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <mutex>
#include <set>
#include <utility>

namespace sluice {

namespace {

using FileId = std::pair<dev_t, ino_t>;

// The files that this process has locked, by device and inode. A second attempt is thus refused
// without opening a descriptor; closing that would release SQLite's POSIX locks.
std::mutex mutex;
std::set<FileId>& locked_files() {
  static std::set<FileId> files;
  return files;
}

// Owner only: the file contains answers to users. SQLite gives its log files the same mode.
UniqueFd open_private(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

bool flocked(const UniqueFd& fd) {
  return fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
}

}  // namespace

StoreLock::Taken StoreLock::take(const std::string& path) {
  const std::lock_guard guard(mutex);
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0 &&
      locked_files().count({found.st_dev, found.st_ino}) != 0) {
    return {nullptr, EWOULDBLOCK};
  }
  UniqueFd file = open_private(path);
  if (!file.valid()) return {nullptr, errno};
  UniqueFd beside;
#if defined(__APPLE__)
  // On such a file system flock conflicts with the POSIX locks of SQLite.
  beside = open_private(path + "-lock");
  const bool locked = flocked(beside);
#else
  const bool locked = flocked(file);
#endif
  if (!locked || ::fstat(file.get(), &found) != 0) return {nullptr, errno};
  std::unique_ptr<StoreLock> lock(new StoreLock(path, std::move(file), found.st_dev, found.st_ino));
  lock->beside_ = std::move(beside);
  locked_files().insert({lock->device_, lock->inode_});
  // The file may have been renamed between open and lock.
  if (!lock->in_place()) return {nullptr, ESTALE};
  return {std::move(lock), 0};
}

StoreLock::~StoreLock() {
  const std::lock_guard guard(mutex);
  locked_files().erase({device_, inode_});
  file_ = UniqueFd();
}

bool StoreLock::in_place() const {
  struct stat found {};
  return ::stat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_;
}

}  // namespace sluice
