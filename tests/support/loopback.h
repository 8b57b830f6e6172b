/* loopback.h - a server of HTTP/1.1 on 127.0.0.1, for the tests of http and s3: the path says what it does wrong.
 *
 *   /echo...        the head of the request, as it came; its body is counted and summed
 *   /bytes/N        N bytes           /chunks/N  in chunks        /more/N    N more than promised
 *   /cut/N          half of N bytes   /cut_chunks                 /garbage   no HTTP
 *   /huge           promises 10^12    /endless   without a length, until the client hangs up
 *   /silent         never an answer   /half      half an answer, then nothing
 *   /drip           twenty bytes, one every 300 ms                /slow      one byte after 50 ms
 *   /code/C/N       code C, N bytes   /redirect  307 to /bytes/1  /continue  100 with headers of its own first
 *   /headers        some, one of them long                        /drop      closes a connection used before, once
 *   /many_headers   80 KB of them
 *   /range/N        an object of N bytes, byte i is i % 251, or a range of it; its ETag tells `version`
 */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOPBACK_LOG = 4096 };

typedef struct loopback {
  int listener, port;
  atomic_int connections, open, open_most, busy, busy_most, requests, dropped;
  atomic_llong body_size, body_sum;
  atomic_int version;                 /* of objects */
  atomic_llong range_most, range_sum; /* bytes of objects that were sent: most at once, all */
  char log[LOOPBACK_LOG];             /* last part of each path, one character, in the order they came */
} loopback;

static inline void loopback_most(atomic_int *most, int now) {
  int old = atomic_load(most);
  while (now > old && !atomic_compare_exchange_weak(most, &old, now)) {}
}

static inline bool loopback_send(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes += n;
    size -= (size_t)n;
  }
  return true;
}
static inline bool loopback_fill(int fd, long long size) {
  static const char zeros[65536];
  for (long long n; size > 0; size -= n) {
    n = size < (long long)sizeof zeros ? size : (long long)sizeof zeros;
    if (!loopback_send(fd, zeros, (size_t)n)) return false;
  }
  return true;
}
static inline bool loopback_head(int fd, int code, long long length, const char *more) {
  char head[4096];
  int n = snprintf(head, sizeof head, "HTTP/1.1 %d Text\r\n%sContent-Length: %lld\r\n\r\n", code, more, length);
  return loopback_send(fd, head, (size_t)n);
}
static inline bool loopback_text(int fd, const char *text) {
  return loopback_send(fd, text, strlen(text));
}
/* Until the client hangs up. */
static inline bool loopback_wait(int fd) {
  char byte;
  while (recv(fd, &byte, 1, 0) > 0) {}
  return false;
}

static inline bool loopback_range(loopback *self, int fd, const char *head, long long size) {
  long long first = 0, last = size - 1;
  const char *said = strcasestr(head, "\r\nrange: bytes=");
  bool part = said != NULL && sscanf(said + 15, "%lld-%lld", &first, &last) == 2, good = true;
  char tag[64], bytes[251 * 251];
  snprintf(tag, sizeof tag, "ETag: \"version-%d\"\r\n", atomic_load(&self->version));
  if (first < 0 || last >= size || first > last) return loopback_head(fd, 416, 0, "");
  long long left = last - first + 1;
  good = loopback_head(fd, part ? 206 : 200, left, tag);
  if (strncmp(head, "HEAD", 4) == 0) return good;
  if (left > atomic_load(&self->range_most)) atomic_store(&self->range_most, left);
  atomic_fetch_add(&self->range_sum, left);
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(((size_t)first + i) % 251);
  for (long long n; good && left > 0; left -= n) {
    n = left < (long long)sizeof bytes ? left : (long long)sizeof bytes;
    good = loopback_send(fd, bytes, (size_t)n);
  }
  return good;
}

/* false: the connection is to be closed. */
static inline bool loopback_answer(loopback *self, int fd, const char *path, const char *head, int count) {
  long long n = 0;
  int code = 0;
  bool head_only = strncmp(head, "HEAD", 4) == 0;
  if (strncmp(path, "/echo", 5) == 0) {
    return loopback_head(fd, 200, (long long)strlen(head), "") && loopback_text(fd, head);
  }
  if (sscanf(path, "/bytes/%lld", &n) == 1) {
    return loopback_head(fd, 200, n, "") && (head_only || loopback_fill(fd, n));
  }
  if (sscanf(path, "/range/%lld", &n) == 1) return loopback_range(self, fd, head, n);
  if (sscanf(path, "/more/%lld", &n) == 1) {
    loopback_head(fd, 200, n, "");
    loopback_fill(fd, n + 10);
    return false;
  }
  if (sscanf(path, "/cut/%lld", &n) == 1) {
    loopback_head(fd, 200, n, "");
    loopback_fill(fd, n / 2);
    return false;
  }
  if (sscanf(path, "/chunks/%lld", &n) == 1) {
    char size[32];
    snprintf(size, sizeof size, "%llx\r\n", n);
    return loopback_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") && loopback_text(fd, size) &&
           loopback_fill(fd, n) && loopback_text(fd, "\r\n0\r\n\r\n");
  }
  if (strcmp(path, "/cut_chunks") == 0) {
    loopback_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n8\r\nhel");
    return false;
  }
  if (strcmp(path, "/garbage") == 0) {
    loopback_text(fd, "what do you mean?\r\n\r\n");
    return false;
  }
  if (strcmp(path, "/huge") == 0) return loopback_head(fd, 200, 1000000000000, "") && loopback_wait(fd);
  if (strcmp(path, "/endless") == 0) {
    return loopback_text(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") && loopback_fill(fd, 1LL << 60);
  }
  if (strcmp(path, "/silent") == 0) return loopback_wait(fd);
  if (strcmp(path, "/half") == 0)
    return loopback_head(fd, 200, 1000, "") && loopback_fill(fd, 500) && loopback_wait(fd);
  if (strcmp(path, "/drip") == 0) {
    bool good = loopback_head(fd, 200, 20, "");
    for (int i = 0; i < 20 && good; i++) good = usleep(300 * 1000) == 0 && loopback_fill(fd, 1);
    return good;
  }
  if (strncmp(path, "/slow", 5) == 0)
    return usleep(50 * 1000) == 0 && loopback_head(fd, 200, 1, "") && loopback_fill(fd, 1);
  if (sscanf(path, "/code/%d/%lld", &code, &n) == 2) return loopback_head(fd, code, n, "") && loopback_fill(fd, n);
  if (strcmp(path, "/redirect") == 0) return loopback_head(fd, 307, 0, "Location: /bytes/1\r\n");
  if (strcmp(path, "/continue") == 0) {
    return loopback_text(fd, "HTTP/1.1 100 Continue\r\nETag: \"early\"\r\nDate: early\r\nRetry-After: 9\r\n\r\n") &&
           loopback_head(fd, 200, 0, "ETag: \"late\"\r\n");
  }
  if (strcmp(path, "/headers") == 0) {
    char more[1024], tag[401];
    memset(tag, 'x', 400);
    tag[400] = '\0';
    snprintf(more, sizeof more,
        "etag: %s\r\nDate:  Sat, 21 Nov 2026 10:00:00 GMT \r\nX-AMZ-Bucket-Region:eu-west-3\r\nRetry-After: 7\r\n",
        tag);
    return loopback_head(fd, 503, 0, more);
  }
  if (strcmp(path, "/many_headers") == 0) {
    bool good = loopback_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < 800 && good; i++) {
      char line[128];
      snprintf(line, sizeof line, "X-%03d: %090d\r\n", i, i);
      good = loopback_text(fd, line);
    }
    return good && loopback_text(fd, "\r\n");
  }
  if (strcmp(path, "/drop") == 0) {
    if (count > 1 && atomic_exchange(&self->dropped, 1) == 0) return false;
    return loopback_head(fd, 200, 0, "");
  }
  return loopback_head(fd, 404, 0, "");
}

typedef struct loopback_connection {
  loopback *server;
  int fd;
} loopback_connection;

/* Reads one request; the bytes of its body are counted and summed. */
static inline bool loopback_read(loopback *self, int fd, char *head, size_t max) {
  size_t size = 0;
  char *end = NULL;
  while (end == NULL) {
    ssize_t n = size + 1 < max ? recv(fd, head + size, max - 1 - size, 0) : 0;
    if (n <= 0) return false;
    size += (size_t)n;
    head[size] = '\0';
    end = strstr(head, "\r\n\r\n");
  }
  const char *said = strcasestr(head, "\r\ncontent-length:");
  long long length = said != NULL ? atoll(said + 17) : 0, have = (long long)(size - (size_t)(end + 4 - head)), sum = 0;
  for (long long i = 0; i < have; i++) sum += (unsigned char)end[4 + i];
  while (have < length) {
    char bytes[65536];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0) return false;
    have += n;
    for (ssize_t i = 0; i < n; i++) sum += (unsigned char)bytes[i];
  }
  end[4] = '\0';
  atomic_store(&self->body_size, have);
  atomic_store(&self->body_sum, sum);
  return true;
}

static inline void *loopback_serve(void *arg) {
  loopback_connection one = *(loopback_connection *)arg;
  loopback *self = one.server;
  char head[16384], path[1024] = "";
  free(arg);
  loopback_most(&self->open_most, atomic_fetch_add(&self->open, 1) + 1);
  for (int count = 1; loopback_read(self, one.fd, head, sizeof head); count++) {
    sscanf(head, "%*s %1023s", path);
    int number = atomic_fetch_add(&self->requests, 1);
    if (number < LOOPBACK_LOG) self->log[number] = path[strlen(path) - 1];
    loopback_most(&self->busy_most, atomic_fetch_add(&self->busy, 1) + 1);
    bool more = loopback_answer(self, one.fd, path, head, count);
    atomic_fetch_sub(&self->busy, 1);
    if (!more) break;
  }
  atomic_fetch_sub(&self->open, 1);
  close(one.fd);
  return NULL;
}

static inline void *loopback_accept(void *arg) {
  loopback *self = arg;
  for (;;) {
    pthread_t thread;
    loopback_connection *one = malloc(sizeof *one);
    int fd = accept(self->listener, NULL, NULL);
    int on = 1;
    if (one == NULL || fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) abort();
    *one = (loopback_connection){.server = self, .fd = fd};
    atomic_fetch_add(&self->connections, 1);
    if (pthread_create(&thread, NULL, loopback_serve, one) != 0) abort();
    pthread_detach(thread);
  }
  return NULL;
}

/* Runs until the program ends. */
static inline void loopback_start(loopback *self) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  pthread_t thread;
  memset(self, 0, sizeof *self);
  self->listener = socket(AF_INET, SOCK_STREAM, 0);
  if (self->listener < 0 || bind(self->listener, (struct sockaddr *)&address, size) != 0 ||
      listen(self->listener, 1024) != 0 || getsockname(self->listener, (struct sockaddr *)&address, &size) != 0 ||
      pthread_create(&thread, NULL, loopback_accept, self) != 0) {
    abort();
  }
  pthread_detach(thread);
  self->port = ntohs(address.sin_port);
}

#endif
