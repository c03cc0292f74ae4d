#include "runtime/net/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace sluice {

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = other.release();
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

UniqueFd UniqueFd::duplicate_of(int fd) {
  return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

int UniqueFd::release() {
  return std::exchange(fd_, -1);
}

}  // namespace sluice
