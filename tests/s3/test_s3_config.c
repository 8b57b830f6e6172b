/* test_s3_config.c - what configuration refuses, and how. That it finds what botocore finds is check_credentials.py's.
 */
#include "check.h"

#include "pmn_mem.h"
#include "pmn_s3_config.h"
#include "pmn_s3_profile.h"

static char home[64];

static void write_bytes(const char *name, const void *bytes, size_t size) {
  char path[256];
  snprintf(path, sizeof path, "%s/.aws/%s", home, name);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

static void write_text(const char *name, const char *text) {
  write_bytes(name, text, strlen(text));
}

static const char *const variables[] = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_CA_BUNDLE", "AWS_MAX_ATTEMPTS", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"};

/* A home with an .aws of its own, and nothing of AWS in the environment. */
static int set_up(void **state) {
  char path[128];
  (void)state;
  check_folder(home);
  snprintf(path, sizeof path, "%s/.aws", home);
  assert_int_equal(mkdir(path, 0700), 0);
  setenv("HOME", home, 1);
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  check_folder_remove(home);
  return 0;
}

static void refused(const pmn_s3_flags *flags, pmn_status status, const char *text) {
  static const pmn_s3_flags none;
  pmn_err err = PMN_ERR_INIT;
  pmn_s3_config *config = NULL;
  check_fails(pmn_s3_config_create(flags != NULL ? flags : &none, &config, &err), status, text);
  assert_null(config);
  if (strstr(err.message, "SECRET") != NULL) fail_msg("a secret in \"%s\"", err.message);
}

static pmn_s3_config *config_of(const pmn_s3_flags *flags) {
  static const pmn_s3_flags none;
  pmn_err err = PMN_ERR_INIT;
  pmn_s3_config *config = NULL;
  check_ok(pmn_s3_config_create(flags != NULL ? flags : &none, &config, &err));
  return config;
}

static void test_order(void **state) {
  (void)state;
  write_text("config", "[default]\nregion = from-default\n[profile a]\nregion = from-a\nendpoint_url = http://profile\n"
                       "[profile b]\nregion = from-b\n");
  setenv("AWS_DEFAULT_PROFILE", "b", 1);
  pmn_s3_config *config = config_of(NULL);
  assert_string_equal(config->region, "from-b");
  assert_false(config->profile_flag);
  pmn_s3_config_destroy(config);

  setenv("AWS_PROFILE", "a", 1);
  config = config_of(NULL);
  assert_string_equal(config->region, "from-a");
  assert_string_equal(config->endpoint, "http://profile");
  assert_string_equal(config->sts_endpoint, "http://profile");
  assert_true(config->path_style);
  assert_int_equal(config->attempts_max, 8);
  pmn_s3_config_destroy(config);

  setenv("AWS_DEFAULT_REGION", "from-env", 1);
  setenv("AWS_REGION", "from-env-2", 1);
  setenv("AWS_MAX_ATTEMPTS", "3", 1);
  config = config_of(NULL);
  assert_string_equal(config->region, "from-env-2");
  assert_int_equal(config->attempts_max, 3);
  pmn_s3_config_destroy(config);
  setenv("AWS_REGION", "", 1); /* as good as not set */
  config = config_of(NULL);
  assert_string_equal(config->region, "from-env");
  pmn_s3_config_destroy(config);

  setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
  config = config_of(&(pmn_s3_flags){
      .region = "from-flag", .profile = "default", .endpoint = "HTTP://Flag:9000/", .no_sign_request = true});
  assert_string_equal(config->region, "from-flag");
  assert_string_equal(config->profile, "default");
  assert_string_equal(config->endpoint, "http://Flag:9000"); /* what a flag says is not ignored */
  assert_null(config->sts_endpoint);
  assert_true(config->profile_flag && config->no_sign_request);
  pmn_s3_config_destroy(config);
}

static void test_endpoints(void **state) {
  (void)state;
  static const char *const good[][2] = {{"http://a", "http://a"}, {"https://a.b-c_d:8443/", "https://a.b-c_d:8443"},
      {"http://[::1]:9000", "http://[::1]:9000"}, {"https://a:443/", "https://a"}, {"https://a:80", "https://a:80"},
      {"http://127.0.0.1:80", "http://127.0.0.1"}, {"http://a:65535", "http://a:65535"}};
  static const char *const bad[] = {"a", "ftp://a", "//a", "http://", "https:///", "http://a/b", "http://a//",
      "http://a/..", "http://a/?x", "http://a?x", "http://a#x", "http://SECRET:SECRET@a", "http://a:", "http://a:0",
      "http://a:65536", "http://a:1:2", "http://a:x", "http://a b", "http://a\tb", "http://a\nb", "http://a%41",
      "http://[::1", "http://[]", "http://[::1]x", "http://..", "http://a..b", "http://-a", "http://.a",
      "http://\xc3\xbc", "http:/a", "http://a:99999999999"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    pmn_s3_config *config = config_of(&(pmn_s3_flags){.endpoint = good[i][0]});
    assert_string_equal(config->endpoint, good[i][1]);
    pmn_s3_config_destroy(config);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    refused(&(pmn_s3_flags){.endpoint = bad[i]}, PMN_STATUS_ARGUMENT, "--endpoint-url: ");
    setenv("AWS_ENDPOINT_URL_S3", bad[i], 1);
    refused(NULL, PMN_STATUS_ARGUMENT, "AWS_ENDPOINT_URL_S3: ");
    unsetenv("AWS_ENDPOINT_URL_S3");
    setenv("AWS_ENDPOINT_URL_STS", bad[i], 1);
    refused(NULL, PMN_STATUS_ARGUMENT, "AWS_ENDPOINT_URL_STS: ");
    unsetenv("AWS_ENDPOINT_URL_STS");
  }
  char longest[300] = "http://";
  memset(longest + 7, 'a', 256);
  refused(&(pmn_s3_flags){.endpoint = longest}, PMN_STATUS_ARGUMENT, "--endpoint-url: ");
}

static void test_values(void **state) {
  (void)state;
  static const char *const regions[] = {"eu west", "a.b", "a/b", "-a", "a-", "a_b", "us-east-1\n", "\xc3\xbc",
      "a@evil.example", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
  static const char *const attempts[] = {"0", "-1", "101", "x", "3.5", "1e1", "99999999999999999999"};
  for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
    refused(&(pmn_s3_flags){.region = regions[i]}, PMN_STATUS_ARGUMENT, "is no region");
  }
  refused(&(pmn_s3_flags){.region = ""}, PMN_STATUS_ARGUMENT, "--region");
  for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
    setenv("AWS_MAX_ATTEMPTS", attempts[i], 1);
    refused(NULL, PMN_STATUS_ARGUMENT, "AWS_MAX_ATTEMPTS");
  }
  unsetenv("AWS_MAX_ATTEMPTS");
  setenv("AWS_CA_BUNDLE", "/no/such/file.pem", 1);
  refused(NULL, PMN_STATUS_NOT_FOUND, "AWS_CA_BUNDLE: cannot read /no/such/file.pem");
  unsetenv("AWS_CA_BUNDLE");
  write_text("config", "[default]\nregion = eu-west-1 # home\n");
  refused(NULL, PMN_STATUS_ARGUMENT, "region of profile default: eu-west-1 # home is no region");
  write_text("config", "[default]\ns3 =\n  addressing_style = sideways\n");
  refused(NULL, PMN_STATUS_ARGUMENT, "s3.addressing_style of profile default: sideways");
  write_text("config", "[default]\nservices = mine\n[services yours]\n");
  refused(NULL, PMN_STATUS_ARGUMENT, "has no section [services mine]");
  setenv("AWS_PROFILE", "nobody", 1);
  refused(NULL, PMN_STATUS_ARGUMENT, "AWS_PROFILE: there is no profile nobody in /tmp/");
  refused(&(pmn_s3_flags){.profile = "none"}, PMN_STATUS_ARGUMENT, "--profile: there is no profile none");
  assert_string_equal(pmn_s3_region_domain("cn-north-1"), "amazonaws.com.cn");
  assert_string_equal(pmn_s3_region_domain("us-east-1"), "amazonaws.com");
}

static void test_files(void **state) {
  (void)state;
  static const struct {
    const char *text, *says;
  } bad[] = {{"region = x\n", "config line 1: a setting before the first [section]"},
      {"\n[default\nregion = x\n", "config line 2: a [section] without"},
      {"[default]\nSECRET\n", "config line 2: neither [section] nor name = value"},
      {"[default]\n= SECRET\n", "config line 2: neither"},
      {"[default]\ns3 =\n  SECRET\n", "config line 3: an indented line"},
      {"[default]\ns3 =\n  = SECRET\n", "config line 3: an indented line"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    write_text("config", bad[i].text);
    refused(NULL, PMN_STATUS_ARGUMENT, bad[i].says);
  }
  write_bytes("config", "[default]\na = \0SECRET\n", 22);
  refused(NULL, PMN_STATUS_ARGUMENT, "holds NUL bytes");
  char *large = calloc(1, (1 << 20) + 1);
  assert_non_null(large);
  memset(large, '#', (1 << 20) + 1);
  write_bytes("config", large, (1 << 20) + 1);
  refused(NULL, PMN_STATUS_NOT_FOUND, "more than the limit");
  write_bytes("config", large, 1 << 20);
  pmn_s3_config_destroy(config_of(NULL));
  free(large);
  write_text("config", "");
  write_text("credentials", "");
  pmn_s3_config_destroy(config_of(NULL));
  setenv("AWS_CONFIG_FILE", "~/.aws", 1);
  refused(NULL, PMN_STATUS_NOT_FOUND, "is not a regular file");
  setenv("AWS_CONFIG_FILE", "~/.aws/config/below-a-file", 1);
  pmn_s3_config_destroy(config_of(NULL));
  unsetenv("HOME");
  setenv("AWS_CONFIG_FILE", "", 1);
  pmn_s3_config_destroy(config_of(NULL));
}

/* Lines and names as long as they come: what inih cuts. */
static void test_long(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_s3_profiles *profiles = NULL;
  static char text[40000], value[20001], name[301];
  memset(value, 'v', sizeof value - 1);
  memset(name, 'n', sizeof name - 1);
  snprintf(text, sizeof text, "\xef\xbb\xbf[profile  %s]\n%s = %s\nmore = 1\n  2\n\n  3\nafter = 4", name, name, value);
  write_text("config", text);
  write_text("credentials", "[profile a]\nx = 1\n[a]\nx = 2\n[a] # again\nx = 3 ; = 4\nx2 = 5\n");
  check_ok(pmn_s3_profiles_create(&profiles, &err));
  assert_true(pmn_s3_profiles_has(profiles, name));
  assert_string_equal(pmn_s3_profiles_get(profiles, name, name, PMN_S3_FILE_ANY), value);
  assert_string_equal(pmn_s3_profiles_get(profiles, name, "more", PMN_S3_FILE_CONFIG), "1\n2\n3");
  assert_string_equal(pmn_s3_profiles_get(profiles, name, "after", PMN_S3_FILE_ANY), "4");
  assert_null(pmn_s3_profiles_get(profiles, name, "after", PMN_S3_FILE_CREDENTIALS));
  assert_string_equal(pmn_s3_profiles_get(profiles, "a", "x", PMN_S3_FILE_ANY), "3 ; = 4"); /* the last one */
  assert_string_equal(pmn_s3_profiles_get(profiles, "profile a", "x", PMN_S3_FILE_ANY), "1");
  pmn_s3_profiles_destroy(profiles);
}

static void test_no_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  write_text("config", "[default]\nregion = a\nendpoint_url = http://a\ns3 =\n  addressing_style = path\nx = 1\n  2\n");
  write_text("credentials", "[default]\naws_access_key_id = a\naws_secret_access_key = b\n");
  for (int64_t k = 0;; k++) {
    const pmn_s3_flags flags = {.profile = "default"};
    pmn_s3_config *config = NULL;
    pmn_mem_fail_after(k);
    pmn_status st = pmn_s3_config_create(&flags, &config, &err);
    pmn_mem_fail_after(-1);
    if (st == PMN_STATUS_OK) {
      pmn_s3_config_destroy(config);
      assert_true(k > 15);
      return;
    }
    assert_int_equal(st, PMN_STATUS_NO_MEMORY);
    assert_null(config);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(test_order), TEST(test_endpoints), TEST(test_values), TEST(test_files),
      TEST(test_long), TEST(test_no_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
