/* check_store.h - files that keep what was fitted, changed by a test: a hash that is right again, so that what stands
 * behind it is what is checked. Needs pmn_base. */
#ifndef CHECK_STORE_H
#define CHECK_STORE_H

#include "check.h"

#include "pmn_sha256.h"

/* Puts the SHA-256 of all `size` bytes, in hex, for the digits that stand behind the first "sha256":" there, which
 * count as zeros; bytes that have none stay as they are. */
static inline void check_sign(char *data, size_t size) {
  static const char key[] = "\"sha256\":\"";
  char hex[PMN_SHA256_HEX_SIZE];
  pmn_err err = PMN_ERR_INIT;
  for (size_t at = 0; at + sizeof key - 1 + 64 <= size; at++) {
    if (memcmp(data + at, key, sizeof key - 1) != 0) continue;
    char *digits = data + at + sizeof key - 1;
    memset(digits, '0', 64);
    check_ok(pmn_sha256_hex((const void *const[]){data}, &size, 1, hex, &err));
    memcpy(digits, hex, 64);
    return;
  }
}

#endif
