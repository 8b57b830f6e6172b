/* pmn_http_address.c - where an address leads, as libcurl reads it; see pmn_http.h. */
#include "pmn_http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

bool pmn_http_host(const char *url, char host[PMN_HTTP_TEXT]) {
  char *scheme = NULL, *name = NULL, *user = NULL;
  CURLU *parts = curl_url();
  bool good = parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
              curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
              curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
              curl_url_get(parts, CURLUPART_HOST, &name, 0) == CURLUE_OK && strlen(name) < PMN_HTTP_TEXT;
  if (good) memcpy(host, name, strlen(name) + 1);
  curl_free(scheme);
  curl_free(name);
  curl_free(user);
  curl_url_cleanup(parts);
  return good;
}

bool pmn_http_host_is_loopback(const char *host) {
  struct in_addr address;
  return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
         (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}
