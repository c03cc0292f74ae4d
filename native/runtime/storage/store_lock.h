// An exclusive lock on a data file, across threads and processes.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "runtime/net/unique_fd.h"

namespace sluice {

/// The exclusive right to write a data file: one holder at a time, in this process and in all
/// others. Any thread. The destructor releases it.
class StoreLock {
 public:
  struct Taken {
    std::unique_ptr<StoreLock> lock;
    int error = 0;  ///< errno on failure; EWOULDBLOCK: the file is locked already
  };

  /// Locks a file. A missing file is created, readable by its owner only.
  static Taken take(const std::string& path);

  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;
  ~StoreLock();

  /// Whether the path still names the locked file.
  [[nodiscard]] bool in_place() const;

 private:
  StoreLock(std::string path, UniqueFd file, dev_t device, ino_t inode)
      : path_(std::move(path)), file_(std::move(file)), device_(device), inode_(inode) {}

  const std::string path_;
  UniqueFd file_;
  UniqueFd beside_;  // a separate lock file, where the file itself cannot be locked
  const dev_t device_;
  const ino_t inode_;
};

}  // namespace sluice
