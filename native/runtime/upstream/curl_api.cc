#include "runtime/upstream/curl_api.h"

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "core/base/ascii.h"

namespace sluice {

namespace {

#if defined(__unix__) || defined(__APPLE__)

// Node exports the symbols of its built-in OpenSSL, zlib and nghttp2. Without RTLD_DEEPBIND libcurl
// would bind to a mixture of those and its own dependencies; with it, its own come first. Sanitizer
// builds do not support the flag, and do not need it: their test binaries are not Node.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMayBind = true;
constexpr int kOpenFlags = RTLD_NOW | RTLD_LOCAL;
#elif defined(RTLD_DEEPBIND)
constexpr bool kMayBind = true;
constexpr int kOpenFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#elif defined(__APPLE__)
constexpr bool kMayBind = true;  // two-level namespace: symbols name their library
constexpr int kOpenFlags = RTLD_NOW | RTLD_LOCAL;
#else
constexpr bool kMayBind = false;
constexpr int kOpenFlags = RTLD_NOW | RTLD_LOCAL;
#endif

void* open_library() {
  if constexpr (!kMayBind) return nullptr;
  if (const char* const path = std::getenv("SLUICE_LIBCURL_PATH")) return dlopen(path, kOpenFlags);
  constexpr std::array<const char*, 3> kNames{"libcurl.so.4", "libcurl-gnutls.so.4",
                                              "libcurl.4.dylib"};
  for (const char* name : kNames) {
    if (void* library = dlopen(name, kOpenFlags)) return library;
  }
  return nullptr;
}

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

#else

void* open_library() {
  return nullptr;
}

template <typename Function>
bool find(void* /*library*/, const char* /*name*/, Function& /*function*/) {
  return false;
}

#endif

bool fill(void* library, CurlApi& api) {
  return find(library, "curl_easy_init", api.easy_init) &&
         find(library, "curl_easy_setopt", api.easy_setopt) &&
         find(library, "curl_easy_getinfo", api.easy_getinfo) &&
         find(library, "curl_easy_pause", api.easy_pause) &&
         find(library, "curl_easy_strerror", api.easy_strerror) &&
         find(library, "curl_easy_cleanup", api.easy_cleanup) &&
         find(library, "curl_multi_init", api.multi_init) &&
         find(library, "curl_multi_setopt", api.multi_setopt) &&
         find(library, "curl_multi_add_handle", api.multi_add_handle) &&
         find(library, "curl_multi_remove_handle", api.multi_remove_handle) &&
         find(library, "curl_multi_socket_action", api.multi_socket_action) &&
         find(library, "curl_multi_info_read", api.multi_info_read) &&
         find(library, "curl_multi_cleanup", api.multi_cleanup) &&
         find(library, "curl_slist_append", api.slist_append) &&
         find(library, "curl_slist_free_all", api.slist_free_all) &&
         find(library, "curl_version_info", api.version_info) &&
         find(library, "curl_global_init", api.global_init);
}

// A blocking resolver would stall every stream of the reactor.
bool will_do(const CurlApi& api) {
  constexpr unsigned kOldest = 0x073E00;  // 7.62, of 2018
  constexpr int kNeeded = CURL_VERSION_ASYNCHDNS | CURL_VERSION_SSL;
  const curl_version_info_data* const about = api.version_info(CURLVERSION_NOW);
  return about->version_num >= kOldest && (about->features & kNeeded) == kNeeded;
}

// libcurl uses the first of these that is set.
bool names_proxy_by_tls() {
  constexpr std::string_view kScheme = "https:";
  constexpr std::array<const char*, 3> kVariables{"http_proxy", "all_proxy", "ALL_PROXY"};
  return std::any_of(kVariables.begin(), kVariables.end(), [&](const char* name) {
    const char* const value = std::getenv(name);
    if (value == nullptr) return false;
    return equals_ignoring_case(std::string_view(value).substr(0, kScheme.size()), kScheme);
  });
}

}  // namespace

const CurlApi* CurlApi::get() {
  // Initialised once and never cleaned up: other code in the process may use the library.
  static const struct Opened {
    Opened() {
      void* const library = open_library();
      usable = library != nullptr && fill(library, api) && will_do(api) &&
               api.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
      if (usable) api.find_tls_functions(library);
      const char* const file = std::getenv("SSL_CERT_FILE");
      if (file != nullptr) api.authorities = file;
      api.proxied_by_tls = names_proxy_by_tls();
    }
    CurlApi api;
    bool usable = false;
  } opened;
  return opened.usable ? &opened.api : nullptr;
}

// Looks the symbols up among the dependencies of libcurl: a function of another TLS library in the
// process would misinterpret the session.
void CurlApi::find_tls_functions(void* library) {
  (void)find(library, "SSL_has_pending", openssl_has_pending_);
  (void)find(library, "SSL_pending", openssl_pending_);
  (void)find(library, "gnutls_record_check_pending", gnutls_pending_);
  (void)find(library, "mbedtls_ssl_get_bytes_avail", mbedtls_pending_);
  (void)find(library, "wolfSSL_pending", wolfssl_pending_);
}

bool CurlApi::has_unread_tls(CURL* easy) const {
  curl_tlssessioninfo* session = nullptr;
  if (easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK || session == nullptr) {
    return true;
  }
  void* const internals = session->internals;
  switch (session->backend) {
    case CURLSSLBACKEND_NONE:
      return false;
    case CURLSSLBACKEND_OPENSSL:
      if (internals == nullptr) return true;
      if (openssl_has_pending_ != nullptr) return openssl_has_pending_(internals) != 0;
      return openssl_pending_ == nullptr || openssl_pending_(internals) != 0;
    case CURLSSLBACKEND_GNUTLS:
      return internals == nullptr || gnutls_pending_ == nullptr || gnutls_pending_(internals) != 0;
    case CURLSSLBACKEND_MBEDTLS:
      return internals == nullptr || mbedtls_pending_ == nullptr ||
             mbedtls_pending_(internals) != 0;
    case CURLSSLBACKEND_WOLFSSL:
      return internals == nullptr || wolfssl_pending_ == nullptr ||
             wolfssl_pending_(internals) != 0;
    default:
      return true;
  }
}

const char* CurlApi::version() const {
  return version_info(CURLVERSION_NOW)->version;
}

}  // namespace sluice
