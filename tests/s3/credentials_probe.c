/* credentials_probe.c - what check_credentials.py asks of configuration and credentials, one answer per line.
 *
 *   credentials_probe [--profile P] [--region R] [--endpoint E] [--no-sign-request] config | keys | refused | region
 *
 * keys: "SOURCE\tACCESS_KEY\tEXPIRES\tSHA256", the hash being of secret, a newline and token: neither is ever printed.
 * refused: the same for the keys that follow when the server calls the first ones expired.
 * Errors go to standard error as "STATUS: MESSAGE", exit code 1.
 */
#include "pmn_s3_credentials.h"
#include "pmn_sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_keys(const pmn_s3_credentials *credentials, const pmn_s3_keys *keys) {
  const char *token = keys->token != NULL ? keys->token : "";
  const void *parts[] = {keys->secret_key, "\n", token};
  const size_t sizes[] = {strlen(keys->secret_key), 1, strlen(token)};
  char hash[PMN_SHA256_HEX_SIZE];
  pmn_err err;
  if (pmn_sha256_hex(parts, sizes, 3, hash, &err) != PMN_STATUS_OK) exit(2);
  printf("%s\t%s\t%.0f\t%s\n", pmn_s3_credentials_source(credentials), keys->access_key, keys->expires, hash);
}

static const char *shown(const char *text) {
  return text != NULL ? text : "-";
}

static void print_config(const pmn_s3_config *c) {
  printf("region=%s\nendpoint=%s\nsts_endpoint=%s\nca_bundle=%s\nprofile=%s\npath_style=%d\nattempts=%d\n",
      shown(c->region), shown(c->endpoint), shown(c->sts_endpoint), shown(c->ca_bundle), c->profile, c->path_style,
      c->attempts_max);
}

static pmn_status run(const char *what, const pmn_s3_config *config, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_http_options options = {.in_flight_max = 4};
  pmn_http *http = NULL;
  pmn_s3_credentials *credentials = NULL;
  pmn_s3_keys keys = {.expires = 0};
  pmn_buf region;
  pmn_buf_init(&region, 64);
  PMN_TRY(pmn_http_create(&options, &http, err));
  PMN_TRY(pmn_s3_credentials_create(config, http, &credentials, err));
  if (strcmp(what, "region") == 0) {
    PMN_TRY(pmn_s3_credentials_region(credentials, &region, err));
    printf("%s\n", region.data);
    goto done;
  }
  PMN_TRY(pmn_s3_credentials_get(credentials, false, &keys, err));
  print_keys(credentials, &keys);
  if (strcmp(what, "refused") == 0) {
    PMN_TRY(pmn_s3_credentials_get(credentials, true, &keys, err));
    print_keys(credentials, &keys);
  }
done:
  pmn_buf_reset(&region);
  pmn_s3_keys_reset(&keys);
  pmn_s3_credentials_destroy(credentials);
  pmn_http_destroy(http);
  return st;
}

int main(int argc, char **argv) {
  pmn_s3_flags flags = {.region = NULL};
  pmn_s3_config *config = NULL;
  pmn_err err = PMN_ERR_INIT;
  int i = 1;
  for (; i + 1 < argc; i++) {
    if (strcmp(argv[i], "--no-sign-request") == 0)
      flags.no_sign_request = true;
    else if (strcmp(argv[i], "--profile") == 0)
      flags.profile = argv[++i];
    else if (strcmp(argv[i], "--region") == 0)
      flags.region = argv[++i];
    else
      flags.endpoint = argv[++i];
  }
  if (i >= argc) return 2;
  pmn_status st = pmn_s3_config_create(&flags, &config, &err);
  if (st == PMN_STATUS_OK && strcmp(argv[i], "config") == 0)
    print_config(config);
  else if (st == PMN_STATUS_OK)
    st = run(argv[i], config, &err);
  fflush(stdout);
  if (st != PMN_STATUS_OK) fprintf(stderr, "%d: %s\n", (int)st, err.message);
  pmn_s3_config_destroy(config);
  return st != PMN_STATUS_OK;
}
