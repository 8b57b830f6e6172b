/* sign_probe.c - pmn_s3_sign for check_sign.py: a request per line of standard input, its target and signature out.
 *
 * A line is words between blanks, all but the time in hex, so that any byte can be told; "-" is the empty text:
 *   TIME SERVICE REGION METHOD HOST PATH PAYLOAD ACCESS_KEY SECRET_KEY TOKEN [q NAME VALUE]... [h NAME VALUE]...
 * The answer is the target and each header line, told apart by tabs; or "error MESSAGE".
 */
#include "pmn_s3_sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *from_hex(char *word) {
  char *out = word;
  unsigned value;
  if (word == NULL) exit(2);
  if (strcmp(word, "-") == 0) return "";
  for (const char *in = word; sscanf(in, "%2x", &value) == 1; in += 2) *out++ = (char)value;
  *out = '\0';
  return word;
}

static const char *next(void) {
  return from_hex(strtok(NULL, " \n"));
}

static void answer(char *line) {
  pmn_err err = PMN_ERR_INIT;
  pmn_s3_keys keys = {.expires = 0};
  pmn_buf target, lines;
  pmn_buf_init(&target, 1 << 20);
  pmn_buf_init(&lines, 1 << 20);
  const char *word = strtok(line, " \n");
  if (word == NULL) exit(2);
  time_t when = (time_t)strtoll(word, NULL, 10);
  const char *service = next(), *region = next();
  pmn_s3_request request = {.method = next(), .host = next(), .path = next(), .payload_sha256 = next()};
  snprintf(keys.access_key, sizeof keys.access_key, "%s", next());
  snprintf(keys.secret_key, sizeof keys.secret_key, "%s", next());
  keys.token = (char *)(uintptr_t)next();
  while ((word = strtok(NULL, " \n")) != NULL) {
    bool of_query = word[0] == 'q';
    pmn_s3_pair *pair = of_query ? &request.query[request.query_count++] : &request.headers[request.header_count++];
    pair->name = next();
    pair->value = next();
  }
  if (pmn_s3_encode_target(&request, &target, &err) != PMN_STATUS_OK ||
      pmn_s3_sign(&request, &keys, region, service, when, &lines, &err) != PMN_STATUS_OK) {
    printf("error %s\n", err.message);
  } else {
    for (char *c = lines.data; *c != '\0'; c++) *c = *c == '\n' ? '\t' : *c;
    printf("%s\t%s\n", target.data, lines.data);
  }
  fflush(stdout);
  pmn_buf_reset(&target);
  pmn_buf_reset(&lines);
}

int main(void) {
  char *line = NULL;
  size_t capacity = 0;
  while (getline(&line, &capacity, stdin) > 0) answer(line);
  free(line);
  return 0;
}
