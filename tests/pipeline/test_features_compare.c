/* test_features_compare.c - features that a file was made for beside those of a run: every difference has its message.
 */
#include "check.h"

#include "pmn_store.h"

static const char features[] =
    "{\"network\":\"resnet50\",\"width\":2048,\"layers\":[{\"layer\":\"avg_pool\",\"width\":2048}],\"pool\":\"avg\","
    "\"weights\":\"/w/a \\\"quoted\\\" \xc3\xbc.safetensors\",\"weights_sha256\":\"1234abcd0000\","
    "\"preprocess\":{\"width\":224,\"height\":224,\"scale\":[0.017507003247737885,1.0,1.0],\"name\":\"torch\"}}";

static const struct {
  const char *from, *to, *text; /* from: of features, in the file; NULL: not changed */
} changes[] = {
    {"/w/a", "/elsewhere/b", NULL},
    {"\"weights\":\"/w/a", "\"weight\":\"/w/a",
        "resnet50 with weight \"/w/a \\\"quoted\\\" \xc3\xbc.safetensors\", here missing"},
    {"resnet50", "mobilenet_v2", "f.proj was made for features of mobilenet_v2, these are of resnet50"},
    {"\"network\":\"resnet50\"", "\"network\":\"resnet50\",\"precision\":\"bf16\"",
        "f.proj was made for features of resnet50 with precision \"bf16\", here fp32"},
    {"\"network\":\"resnet50\"", "\"matrix\":true", "f.proj was made for features of a matrix, these are of resnet50"},
    {"\"network\":\"resnet50\"", "\"nets\":1",
        "f.proj was made for features of an unknown source with nets 1, here missing"},
    {"\"weights_sha256\":\"1234abcd0000\"", "\"weights_sha256\":\"56789abcdef0\"",
        "f.proj was made for features of resnet50 with other weights (sha256 56789abc..., here 1234abcd...)"},
    {"\"weights_sha256\":\"1234abcd0000\"", "\"weights_sha256\":null",
        "features of resnet50 with weights_sha256 null, here \"1234abcd0000\""},
    {"\"weights_sha256\":\"1234abcd0000\",", "", "with weights_sha256 missing, here \"1234abcd0000\""},
    {"\"width\":2048,\"layers\"", "\"width\":1024,\"layers\"", "features of resnet50 with width 1024, here 2048"},
    {"\"width\":2048,\"layers\":[{\"layer\":\"avg_pool\"", "\"width\":1024,\"layers\":[{\"layer\":\"conv\"",
        "with layers[0].layer \"conv\", here \"avg_pool\""},
    {"\"width\":2048,\"layers\"", "\"layers\"", "with width missing, here 2048"},
    {"\"width\":2048}]", "\"width\":2048},3]", "with layers[1] 3, here missing"},
    {"[{\"layer\":\"avg_pool\",\"width\":2048}]", "[]",
        "with layers[0] missing, here {\"layer\": \"avg_pool\", \"width\": 2048}"},
    {"\"pool\":\"avg\"", "\"pool\":[\"avg\"]", "with pool [\"avg\"], here \"avg\""},
    {"\"width\":224", "\"width\":160", "with preprocess.width 160, here 224"},
    {"0.017507003247737885", "0.017507003247737889", "with preprocess.scale[0] 0.01750700324773788"},
    {",1.0,1.0]", ",1.0,0.5]", "with preprocess.scale[2] 0.5, here 1.0"},
    {"\"name\":\"torch\"", "\"weights\":\"torch\"", "with preprocess.weights \"torch\", here missing"},
};

/* As `features` with its first `from` replaced. */
static void change(char text[1024], const char *from, const char *to) {
  const char *at = strstr(features, from);
  if (at == NULL) fail_msg("features have no %s", from);
  snprintf(text, 1024, "%.*s%s%s", (int)(at - features), features, to, at + strlen(from));
}

static void differences_are_named(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char theirs[1024], key[512], deep[1024];
  check_ok(pmn_features_compare(features, features, "f.proj", &err));
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    change(theirs, changes[i].from, changes[i].to);
    if (changes[i].text == NULL)
      check_ok(pmn_features_compare(features, theirs, "f.proj", &err));
    else
      check_fails(pmn_features_compare(features, theirs, "f.proj", &err), PMN_STATUS_ARGUMENT, changes[i].text);
  }
  check_fails(pmn_features_compare("{\"matrix\":true,\"width\":3}", features, "f.proj", &err), PMN_STATUS_ARGUMENT,
      "f.proj was made for features of resnet50, these are of a matrix");
  check_fails(pmn_features_compare("{\"matrix\":true,\"width\":3}", "{\"width\":4,\"matrix\":true}", "f.proj", &err),
      PMN_STATUS_ARGUMENT, "f.proj was made for features of a matrix with width 4, here 3");
  check_ok(pmn_features_compare("{\"matrix\":true,\"width\":3}", "{\"width\":3,\"matrix\":true}", "f.proj", &err));
  check_fails(pmn_features_compare("{}", "{\"a\":", "f.proj", &err), PMN_STATUS_MODEL, "f.proj: its features");
  check_fails(pmn_features_compare("{\"pixels\":\"rgb\"}", "{\"words\":\"orb\"}", "f.proj", &err), PMN_STATUS_ARGUMENT,
      "f.proj was made for features of orb, these are of pixels");
  check_fails(pmn_features_compare("3", "{}", "f.proj", &err), PMN_STATUS_ARGUMENT, "this run: its features");
  /* Names from files may be long. */
  memset(key, 'k', sizeof key - 1);
  key[sizeof key - 1] = '\0';
  snprintf(deep, sizeof deep, "{\"%s\":{\"%.300s\":1}}", key, key);
  check_fails(pmn_features_compare("{}", deep, "f.proj", &err), PMN_STATUS_ARGUMENT, "an unknown source with kkk");
  snprintf(theirs, sizeof theirs, "{\"%s\":{\"%.300s\":2}}", key, key);
  check_fails(pmn_features_compare(deep, theirs, "f.proj", &err), PMN_STATUS_ARGUMENT, " 2, here 1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(differences_are_named),
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
