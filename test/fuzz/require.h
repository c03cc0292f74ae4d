// The check of a fuzz target.
#pragma once

#include <cstdio>
#include <cstdlib>

/// Ends the process, which libFuzzer reports, unless `holds`.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}
