// The functions of libcurl, found at run time.
//
// The addon is not linked to libcurl, so it loads where there is none; `CurlApi::get()` then says
// so, and JavaScript makes its calls by other means. The library stays open for the life of the
// process. Any thread.
#pragma once

#include <curl/curl.h>

#include <string>

namespace sluice {

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

  /// The file of the authorities to trust, from SSL_CERT_FILE as curl's own command has it; empty:
  /// those that libcurl was built with.
  std::string authorities;

  /// Calls to plain servers may go to their proxy by TLS, as the environment's variables have it.
  bool proxied_by_tls = false;

  /// Whether the TLS library holds received bytes of the connection that libcurl has not read:
  /// a socket that looks idle can have some. True also where the TLS library cannot be asked.
  [[nodiscard]] bool has_unread_tls(CURL* easy) const;

  /// The table, the library opened on first use; nullptr where there is none that will do: one that
  /// can do TLS, and resolves names without blocking its caller. SLUICE_LIBCURL_PATH names another
  /// library than the system's.
  static const CurlApi* get();

  /// The library's version, `7.88.1`.
  [[nodiscard]] const char* version() const;

 private:
  // Functions of libcurl's own TLS library; nullptr where it has none of that name. Each takes that
  // library's session.
  int (*openssl_has_pending_)(const void*) = nullptr;
  int (*openssl_pending_)(const void*) = nullptr;
  std::size_t (*gnutls_pending_)(void*) = nullptr;
  std::size_t (*mbedtls_pending_)(const void*) = nullptr;
  int (*wolfssl_pending_)(void*) = nullptr;

  void find_tls_functions(void* library);
};

}  // namespace sluice
