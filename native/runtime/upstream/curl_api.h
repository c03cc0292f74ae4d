// The functions of libcurl, loaded at run time.
#pragma once

#include <curl/curl.h>

#include <string>

namespace sluice {

/// The functions of libcurl, loaded at run time.
///
/// The addon is not linked to libcurl, so it also loads on systems without it; `get` then returns
/// nullptr, and JavaScript uses another HTTP client. The library stays open for the life of the
/// process. Any thread.
struct CurlApi {
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&::curl_easy_pause) easy_pause = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_multi_init) multi_init = nullptr;
  decltype(&::curl_multi_setopt) multi_setopt = nullptr;
  decltype(&::curl_multi_add_handle) multi_add_handle = nullptr;
  decltype(&::curl_multi_remove_handle) multi_remove_handle = nullptr;
  decltype(&::curl_multi_socket_action) multi_socket_action = nullptr;
  decltype(&::curl_multi_info_read) multi_info_read = nullptr;
  decltype(&::curl_multi_cleanup) multi_cleanup = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
  decltype(&::curl_version_info) version_info = nullptr;
  decltype(&::curl_global_init) global_init = nullptr;

  /// The file of trusted CA certificates, from SSL_CERT_FILE as in the curl command. Empty:
  /// libcurl's built-in default.
  std::string authorities;

  /// Whether the environment configures an HTTPS proxy for calls to http:// URLs.
  bool proxied_by_tls = false;

  /// Whether the TLS library has buffered received bytes that libcurl has not read. The socket of
  /// such a connection looks idle. Also true if the TLS library offers no way to find out.
  [[nodiscard]] bool has_unread_tls(CURL* easy) const;

  /// The functions of the library, which is opened on first use. nullptr if there is no usable one:
  /// it must support TLS and asynchronous name resolution. SLUICE_LIBCURL_PATH overrides the
  /// system's library.
  static const CurlApi* get();

  /// The library's version, `7.88.1`.
  [[nodiscard]] const char* version() const;

 private:
  // Functions of the TLS library that libcurl uses, taking its session; nullptr for the others.
  int (*openssl_has_pending_)(const void*) = nullptr;
  int (*openssl_pending_)(const void*) = nullptr;
  std::size_t (*gnutls_pending_)(void*) = nullptr;
  std::size_t (*mbedtls_pending_)(const void*) = nullptr;
  int (*wolfssl_pending_)(void*) = nullptr;

  void find_tls_functions(void* library);
};

}  // namespace sluice
