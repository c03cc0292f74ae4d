// Spans of time for tests.
#pragma once

#include "core/base/time.h"

namespace sluice {

constexpr Nanos ms(Nanos count) {
  return count * kMillisecond;
}

}  // namespace sluice
