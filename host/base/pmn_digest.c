/* pmn_digest.c - see pmn_digest.h. */
#include "pmn_digest.h"

#include "pmn_mem.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 1 << 18 };

struct pmn_digest {
  EVP_MD_CTX *md5, *sha256; /* md5: NULL if it was not asked for */
};

pmn_digest *pmn_digest_create(bool md5) {
  pmn_digest *digest = pmn_calloc(1, sizeof *digest);
  if (digest == NULL) return NULL;
  digest->sha256 = EVP_MD_CTX_new();
  bool good = digest->sha256 != NULL && EVP_DigestInit_ex(digest->sha256, EVP_sha256(), NULL) == 1;
  if (md5) {
    digest->md5 = EVP_MD_CTX_new();
    good = good && digest->md5 != NULL && EVP_DigestInit_ex(digest->md5, EVP_md5(), NULL) == 1;
  }
  if (!good) {
    pmn_digest_destroy(digest);
    return NULL;
  }
  return digest;
}

void pmn_digest_destroy(pmn_digest *digest) {
  if (digest == NULL) return;
  EVP_MD_CTX_free(digest->md5);
  EVP_MD_CTX_free(digest->sha256);
  pmn_free(digest);
}

bool pmn_digest_update(pmn_digest *digest, const void *bytes, size_t size) {
  return (digest->md5 == NULL || EVP_DigestUpdate(digest->md5, bytes, size) == 1) &&
         EVP_DigestUpdate(digest->sha256, bytes, size) == 1;
}

static bool finish(EVP_MD_CTX *context, char *hex) {
  static const char digits[] = "0123456789abcdef";
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context, bytes, &size) != 1) return false;
  for (unsigned i = 0; i < size; i++) {
    *hex++ = digits[bytes[i] >> 4];
    *hex++ = digits[bytes[i] & 15];
  }
  *hex = '\0';
  return true;
}

bool pmn_digest_finish(pmn_digest *digest, char md5[PMN_MD5_HEX_SIZE], char sha256[PMN_SHA256_HEX_SIZE]) {
  return (digest->md5 == NULL || finish(digest->md5, md5)) && finish(digest->sha256, sha256);
}

bool pmn_digest_so_far(const pmn_digest *digest, char sha256[PMN_SHA256_HEX_SIZE]) {
  EVP_MD_CTX *copy = EVP_MD_CTX_new();
  bool good = copy != NULL && EVP_MD_CTX_copy_ex(copy, digest->sha256) == 1 && finish(copy, sha256);
  EVP_MD_CTX_free(copy);
  return good;
}

pmn_status pmn_digest_read(int fd, int64_t size, const char *path, bool md5, const volatile sig_atomic_t *stop,
    pmn_digest **digest, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *digest = pmn_digest_create(md5);
  char *block = pmn_alloc(BLOCK, 1);
  if (*digest == NULL || block == NULL) {
    st = pmn_err_memory(err, BLOCK, "the hash of a file");
    goto done;
  }
  for (int64_t at = 0; at < size;) {
    if (stop != NULL && *stop != 0) PMN_FAIL(err, PMN_STATUS_INTERRUPTED, "interrupted");
    size_t wanted = size - at < BLOCK ? (size_t)(size - at) : BLOCK;
    ssize_t got = pread(fd, block, wanted, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot read %s: %s", path, strerror(errno));
    if (got == 0) PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%s became shorter while it was read", path);
    if (!pmn_digest_update(*digest, block, (size_t)got)) {
      PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "libcrypto could not compute the hash of %s", path);
    }
    at += got;
  }
done:
  pmn_free(block);
  if (st != PMN_STATUS_OK) {
    pmn_digest_destroy(*digest);
    *digest = NULL;
  }
  return st;
}
