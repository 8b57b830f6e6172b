/* pmn_sha256.c - see pmn_sha256.h. */
#include "pmn_sha256.h"

#include <openssl/evp.h>

pmn_status pmn_sha256_hex(
    const void *const *parts, const size_t *sizes, size_t count, char hex[PMN_SHA256_HEX_SIZE], pmn_err *err) {
  unsigned char digest[32];
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
  for (size_t i = 0; good && i < count; i++) good = EVP_DigestUpdate(context, parts[i], sizes[i]) == 1;
  good = good && EVP_DigestFinal_ex(context, digest, NULL) == 1;
  EVP_MD_CTX_free(context);
  if (!good) return pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0, "libcrypto could not compute a SHA-256");
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 32; i++) {
    hex[2 * i] = digits[digest[i] >> 4];
    hex[2 * i + 1] = digits[digest[i] & 15];
  }
  hex[64] = '\0';
  return PMN_STATUS_OK;
}
