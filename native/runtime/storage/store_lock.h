// The right to write a data file: one holder at a time, in this process and in all others.
//
// Any thread. Ends with its destruction, after which another one may take it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "runtime/net/unique_fd.h"

namespace sluice {

class StoreLock {
 public:
  struct Taken {
    std::unique_ptr<StoreLock> lock;
    int error = 0;  ///< errno where there is no lock; EWOULDBLOCK: another holder has it
  };

  /// Locks a file, which is made, readable for its owner alone, where it is not there.
  static Taken take(const std::string& path);

  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;
  ~StoreLock();

  /// Whether the file that was locked still has its name.
  [[nodiscard]] bool in_place() const;

 private:
  StoreLock(std::string path, UniqueFd file, dev_t device, ino_t inode)
      : path_(std::move(path)), file_(std::move(file)), device_(device), inode_(inode) {}

  const std::string path_;
  UniqueFd file_;
  UniqueFd beside_;  // where a lock on the file itself cannot be had
  const dev_t device_;
  const ino_t inode_;
};

}  // namespace sluice
