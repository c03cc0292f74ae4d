// Suppressions of ThreadSanitizer in these tests.

#if defined(__SANITIZE_THREAD__)

extern "C" const char* __tsan_default_suppressions();

// A call that is dropped while it is connecting: libcurl 7.88 closes its socket before it says that
// the socket need not be watched any more. The number may by then be that of a descriptor which
// another thread (here: the tests' server) has just opened. Taking it off our own epoll set, where
// the other one is not, does nothing.
extern "C" const char* __tsan_default_suppressions() {
  return "race:sluice::CurlClient::watch\n";
}

#endif
