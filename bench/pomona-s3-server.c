/* pomona-s3-server: the files of a folder as the objects of a bucket, on 127.0.0.1, for bench/s3_read.py.
 *
 * As fast as a thread for each connection and two calls of the system for each object can be, so that it is the client
 * that is timed: moto answers some hundred requests a second, in Python, and would measure itself. Everything is in
 * memory. It knows ListObjectsV2 and GET and HEAD of whole objects, by path style, and looks at no signature. ETags are
 * MD5s, as S3's, so that a client that checks them has what it checks.
 */
#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 1000, HEAD_MAX = 16384, KEY_MAX = 1025, ENTRY_MAX = 3 * KEY_MAX + 300 };

typedef struct object {
  char *key, *bytes;
  size_t size;
  char etag[35]; /* with its quotes */
} object;

static const char when_http[] = "Sat, 21 Nov 2026 10:00:00 GMT", when_xml[] = "2026-11-21T10:00:00.000Z";
static object *objects;
static size_t count, capacity, root_size;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* ------------------------------------------------------------------------------------------------------ objects -- */

static int load(const char *path, const struct stat *info, int kind, struct FTW *place) {
  (void)place;
  if (kind != FTW_F) return 0;
  if (count == capacity) {
    capacity = 2 * capacity + 1024;
    objects = realloc(objects, capacity * sizeof *objects);
    if (objects == NULL) fail("memory");
  }
  object *one = &objects[count++];
  FILE *file = fopen(path, "rb");
  *one = (object){.key = strdup(path + root_size), .size = (size_t)info->st_size};
  one->bytes = malloc(one->size + 1);
  if (file == NULL || one->key == NULL || one->bytes == NULL) fail(path);
  if (fread(one->bytes, 1, one->size, file) != one->size) fail(path);
  fclose(file);
  unsigned char md5[16];
  size_t size = sizeof md5;
  if (EVP_Q_digest(NULL, "MD5", NULL, one->bytes, one->size, md5, &size) != 1) fail("MD5");
  one->etag[0] = '"';
  for (size_t i = 0; i < size; i++) snprintf(one->etag + 1 + 2 * i, 3, "%02x", md5[i]);
  one->etag[33] = '"';
  return 0;
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const object *)a)->key, ((const object *)b)->key);
}

/* The first object whose key is not before this one. */
static size_t find(const char *key) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(objects[middle].key, key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* --------------------------------------------------------------------------------------------------------- HTTP -- */

static int hex(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

/* Up to one of `ends`, decoded. */
static void decode(const char *text, const char *ends, char key[KEY_MAX]) {
  size_t used = 0;
  for (; *text != '\0' && strchr(ends, *text) == NULL && used + 1 < KEY_MAX; text++) {
    if (*text == '%' && text[1] != '\0' && text[2] != '\0') {
      key[used++] = (char)(hex(text[1]) << 4 | hex(text[2]));
      text += 2;
    } else {
      key[used++] = *text;
    }
  }
  key[used] = '\0';
}

static size_t encode(const char *key, char *text) {
  size_t used = 0;
  for (; *key != '\0'; key++) {
    bool plain = strchr("-_.~/", *key) != NULL || (*key >= '0' && *key <= '9') || (*key >= 'a' && *key <= 'z') ||
                 (*key >= 'A' && *key <= 'Z');
    used += plain ? (size_t)snprintf(text + used, 2, "%c", *key)
                  : (size_t)snprintf(text + used, 4, "%%%02X", (unsigned char)*key);
  }
  return used;
}

static bool answer(int fd, const char *code, const char *more, const char *body, size_t size, bool head_only) {
  char head[1024];
  int length = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", code, size, more);
  struct iovec parts[] = {{head, (size_t)length}, {(char *)(uintptr_t)body, head_only ? 0 : size}};
  for (size_t i = 0; i < 2;) {
    ssize_t sent = writev(fd, parts + i, (int)(2 - i));
    if (sent < 0) return false;
    for (; i < 2 && (size_t)sent >= parts[i].iov_len; i++) sent -= (ssize_t)parts[i].iov_len;
    if (i == 2) break;
    parts[i].iov_base = (char *)parts[i].iov_base + sent;
    parts[i].iov_len -= (size_t)sent;
  }
  return true;
}

static bool give_object(int fd, const char *key, bool head_only) {
  char more[256];
  size_t i = find(key);
  if (i == count || strcmp(objects[i].key, key) != 0) {
    static const char body[] = "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>";
    return answer(fd, "404 Not Found", "Content-Type: application/xml\r\n", body, sizeof body - 1, head_only);
  }
  snprintf(
      more, sizeof more, "ETag: %s\r\nLast-Modified: %s\r\nContent-Type: image/jpeg\r\n", objects[i].etag, when_http);
  return answer(fd, "200 OK", more, objects[i].bytes, objects[i].size, head_only);
}

/* The token of a page is the number of its first object. */
static bool give_list(int fd, const char *query) {
  char prefix[KEY_MAX] = "";
  const char *said = strstr(query, "prefix="), *token = strstr(query, "continuation-token=");
  if (said != NULL) decode(said + strlen("prefix="), "& ", prefix);
  size_t length = strlen(prefix), i = token != NULL ? strtoul(token + strlen("continuation-token="), NULL, 10) : 0;
  if (token == NULL) i = find(prefix);
  size_t end = i;
  while (end < count && end < i + PAGE && strncmp(objects[end].key, prefix, length) == 0) end++;
  bool more = end < count && strncmp(objects[end].key, prefix, length) == 0;
  char *page = malloc(1024 + (end - i) * ENTRY_MAX);
  if (page == NULL) fail("memory");
  size_t used = (size_t)sprintf(page,
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<Name>bench</Name><KeyCount>%zu</KeyCount><MaxKeys>%d</MaxKeys><EncodingType>url</EncodingType>"
      "<IsTruncated>%s</IsTruncated>",
      end - i, PAGE, more ? "true" : "false");
  if (more) used += (size_t)sprintf(page + used, "<NextContinuationToken>%zu</NextContinuationToken>", end);
  for (; i < end; i++) {
    used += (size_t)sprintf(page + used, "<Contents><Key>");
    used += encode(objects[i].key, page + used);
    used += (size_t)sprintf(page + used,
        "</Key><LastModified>%s</LastModified><ETag>%s</ETag><Size>%zu</Size><StorageClass>STANDARD</StorageClass>"
        "</Contents>",
        when_xml, objects[i].etag, objects[i].size);
  }
  used += (size_t)sprintf(page + used, "</ListBucketResult>");
  bool good = answer(fd, "200 OK", "Content-Type: application/xml\r\n", page, used, false);
  free(page);
  return good;
}

/* "GET /bench/KEY?QUERY HTTP/1.1": without a key it is a listing. */
static bool serve_one(int fd, char *head) {
  char key[KEY_MAX], *path = strchr(head, ' '), *end = path != NULL ? strchr(path + 1, ' ') : NULL;
  if (end == NULL) return false;
  *end = '\0';
  char *slash = strchr(path + 2, '/'), *query = strchr(path, '?');
  if (slash == NULL || slash[1] == '\0' || slash[1] == '?' || (query != NULL && query < slash)) {
    return give_list(fd, query != NULL ? query : "");
  }
  decode(slash + 1, "?", key);
  return give_object(fd, key, strncmp(head, "HEAD", 4) == 0);
}

static void *serve(void *arg) {
  int fd = (int)(intptr_t)arg;
  char head[HEAD_MAX];
  size_t size = 0;
  for (bool good = true; good;) {
    head[size] = '\0';
    char *end = strstr(head, "\r\n\r\n");
    if (end != NULL) {
      size_t used = (size_t)(end + 4 - head);
      good = serve_one(fd, head);
      memmove(head, head + used, size -= used);
      continue;
    }
    ssize_t got = size + 1 < sizeof head ? read(fd, head + size, sizeof head - 1 - size) : 0;
    good = got > 0;
    if (good) size += (size_t)got;
  }
  close(fd);
  return NULL;
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  if (argc != 2) {
    fprintf(stderr, "Usage: pomona-s3-server FOLDER\nServes its files as s3://bench/, says its port, ends with its "
                    "parent.\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);
  root_size = strlen(argv[1]) + 1;
  if (nftw(argv[1], load, 32, FTW_PHYS) != 0) fail(argv[1]);
  qsort(objects, count, sizeof *objects, by_key);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1024) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
    fail("127.0.0.1");
  }
  printf("%d %zu\n", ntohs(address.sin_port), count);
  fflush(stdout);
  for (;;) {
    pthread_t thread;
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) continue;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) != 0) fail("thread");
    pthread_detach(thread);
  }
}
