/* test_onnx_external.c - tensors in files beside the model, and models that try to read more than those. */
#include "onnx_sketch.h"
#include "pmn_onnx_file.h"

#include <sys/stat.h>

/* A model with a tensor "t" FLOAT [2] whose external_data has these entries. */
static pmn_buf external_graph(const char *entries) {
  const int64_t dims[] = {2};
  pmn_buf graph = sketch_graph(PART_ALL), tensor = sketch_tensor("t", FLOAT, dims, 1);
  sketch_external(&tensor, entries);
  sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
  return graph;
}

static const float *find_t(const pmn_onnx *onnx) {
  const pmn_onnx_graph *g = pmn_onnx_file_graph(onnx);
  for (int32_t i = 0; i < g->value_count; i++) {
    if (strcmp(g->names[i], "t") == 0) return g->constants[i]->floats;
  }
  fail_msg("no t");
  return NULL;
}

static void in_folder(const sketch_case *f, const char *name, char path[256]) {
  snprintf(path, 256, "%s/%s", f->folder, name);
}

static void test_read(void **state) {
  const sketch_case *f = *state;
  static const float floats[] = {1, 2, 3, 4};
  static const struct {
    const char *entries;
    float first;
  } good[] = {
      {"location=w.bin;offset=0;length=8", 1},
      {"location=w.bin;offset=4;length=8", 2},
      {"length=8;checksum=00ff;offset=8;location=w.bin", 3},
      {"location=w.bin;offset=8", 3}, /* to the end */
      {"location=w.bin;length=8", 1},
      {"location=./w.bin;length=8", 1},
      {"location=deep/er/w.bin;length=8", 1},
      {"location=..odd..;length=8", 1},
  };
  char path[256];
  in_folder(f, "deep", path);
  assert_int_equal(mkdir(path, 0700), 0);
  in_folder(f, "deep/er", path);
  assert_int_equal(mkdir(path, 0700), 0);
  sketch_file(f->folder, "w.bin", floats, sizeof floats);
  sketch_file(f->folder, "deep/er/w.bin", floats, sizeof floats);
  sketch_file(f->folder, "..odd..", floats, sizeof floats);
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    pmn_buf graph = external_graph(good[i].entries);
    pmn_onnx *onnx = sketch_accept_graph(f, &graph);
    const float *t = find_t(onnx);
    if (t[0] != good[i].first || t[1] != good[i].first + 1) fail_msg("%s: %g %g", good[i].entries, t[0], t[1]);
    pmn_onnx_close(onnx);
  }
}

/* Tensors of attributes, two files, one of them used twice: the hash is that of the model and both, by name. */
static void test_hash(void **state) {
  const sketch_case *f = *state;
  const int64_t dims[] = {1};
  static const char *const locations[] = {"location=b.bin", "location=a.bin", "location=b.bin"};
  pmn_buf graph = sketch_graph(PART_ALL);
  for (int i = 0; i < 3; i++) {
    pmn_buf node = sketch_node("Constant", "", "", i == 0 ? "p" : i == 1 ? "q" : "r");
    pmn_buf value = sketch_attribute("value", 4), tensor = sketch_tensor(NULL, FLOAT, dims, 1);
    sketch_external(&tensor, locations[i]);
    sketch_message(&value, 5, &tensor);
    sketch_message(&node, NODE_ATTRIBUTE, &value);
    sketch_message(&graph, GRAPH_NODE, &node);
  }
  sketch_file(f->folder, "a.bin", "\0\0\x80\x3f", 4);
  sketch_file(f->folder, "b.bin", "\0\0\0\x40", 4);
  pmn_onnx *onnx = sketch_accept_graph(f, &graph);
  const pmn_onnx_graph *g = pmn_onnx_file_graph(onnx);
  assert_true(g->nodes[2].attributes[0].tensor.floats[0] == 2);
  assert_true(g->nodes[3].attributes[0].tensor.floats[0] == 1);
  assert_true(g->nodes[4].attributes[0].tensor.floats[0] == 2);
  sketch_check_hash(f, onnx, "m.onnx a.bin b.bin");
  pmn_onnx_close(onnx);
}

static void test_numbers(void **state) {
  const sketch_case *f = *state;
  static const struct {
    const char *entries, *text;
  } bad[] = {
      {"location=w.bin;offset=0;length=16", "16 bytes of data where its shape needs 8"},
      {"location=w.bin;offset=8;length=4", "4 bytes of data where its shape needs 8"},
      {"location=w.bin", "16 bytes of data where its shape needs 8"},
      {"location=w.bin;offset=12;length=8", "tensor t lies outside external data \"w.bin\" of 16 bytes"},
      {"location=w.bin;offset=17", "lies outside"},
      {"location=w.bin;offset=-4;length=8", "lies outside"},
      {"location=w.bin;offset=4;length=-8", "lies outside"},
      {"location=w.bin;offset=9223372036854775800;length=8", "lies outside"},
      {"location=w.bin;offset=99999999999999999999;length=8", "lies outside"},
      {"location=w.bin;offset=0x0;length=8", "lies outside"},
      {"location=w.bin;offset=;length=8", "lies outside"},
      {"location=w.bin;offset=0 ;length=8", "lies outside"},
  };
  sketch_file(f->folder, "w.bin", "0123456789abcdef", 16);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pmn_buf graph = external_graph(bad[i].entries);
    sketch_refuse_graph(f, &graph, bad[i].text);
  }
  const int64_t dims[] = {2};
  pmn_buf graph = sketch_graph(PART_ALL), tensor = sketch_tensor("t", FLOAT, dims, 1);
  sketch_external(&tensor, "location=w.bin;length=8");
  sketch_bytes(&tensor, TENSOR_RAW, "01234567", 8);
  sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
  sketch_refuse_graph(f, &graph, "has data in several forms");
}

/* Names that lead out of the folder, from a model in folder/model; the file that they want is there. */
static void test_names(void **state) {
  sketch_case f = *(const sketch_case *)*state;
  char inner[256], absolute[300];
  in_folder(&f, "model", inner);
  assert_int_equal(mkdir(inner, 0700), 0);
  sketch_file(f.folder, "w.bin", "01234567", 8);
  snprintf(absolute, sizeof absolute, "location=%s/w.bin", f.folder);
  snprintf(f.folder, sizeof f.folder, "%.40s", inner);
  snprintf(f.path, sizeof f.path, "%.50s/m.onnx", inner);
  const struct {
    const char *entries, *text;
  } bad[] = {
      {absolute, "is not named relative to the model"},
      {"location=", "external data \"\" is not named relative to the model"},
      {"offset=0", "external data \"\" is not named relative to the model"},
      {"location=../w.bin", "external data \"../w.bin\" is not a plain path below the model's folder"},
      {"location=./../w.bin", "is not a plain path"},
      {"location=x/../../w.bin", "cannot open"},
      {"location=..", "is not a plain path"},
      {"location=../model/m.onnx", "is not a plain path"},
      {"location=w.bin/", "cannot open"},
      {"location=none.bin", "cannot open external data \"none.bin\": No such file"},
      {"location=.", "is not a regular file"},
      {"location=m.onnx/w.bin", "cannot open"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pmn_buf graph = external_graph(bad[i].entries);
    sketch_refuse_graph(&f, &graph, bad[i].text);
  }
}

static void test_links(void **state) {
  const sketch_case *f = *state;
  char a[256], b[256];
  in_folder(f, "real", a);
  assert_int_equal(mkdir(a, 0700), 0);
  sketch_file(f->folder, "real/w.bin", "01234567", 8);
  in_folder(f, "middle", b);
  assert_int_equal(symlink("real", b), 0);
  in_folder(f, "last.bin", b);
  assert_int_equal(symlink("real/w.bin", b), 0);
  sketch_file(f->folder, "one.bin", "01234567", 8);
  in_folder(f, "one.bin", a);
  in_folder(f, "two.bin", b);
  assert_int_equal(link(a, b), 0);
  in_folder(f, "fifo", a);
  assert_int_equal(mkfifo(a, 0600), 0);
  static const struct {
    const char *entries, *text;
  } bad[] = {
      {"location=middle/w.bin", "a part of it is no folder; symbolic links are not followed"},
      {"location=last.bin", "symbolic links are not followed; copy the file"},
      {"location=one.bin", "external data \"one.bin\" has 2 hard links, where only one is safe"},
      {"location=two.bin", "has 2 hard links"},
      {"location=fifo", "is not a regular file"},
      {"location=real", "is not a regular file"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pmn_buf graph = external_graph(bad[i].entries);
    sketch_refuse_graph(f, &graph, bad[i].text);
  }
  pmn_buf graph = external_graph("location=real/w.bin");
  pmn_onnx_close(sketch_accept_graph(f, &graph));
  in_folder(f, "two.bin", b);
  unlink(b);
  graph = external_graph("location=one.bin");
  pmn_onnx_close(sketch_accept_graph(f, &graph));
}

/* A file without a byte in it that claims two gigabytes. */
static void test_size(void **state) {
  const sketch_case *f = *state;
  char path[256];
  sketch_file(f->folder, "huge.bin", "", 0);
  in_folder(f, "huge.bin", path);
  assert_int_equal(truncate(path, INT32_MAX), 0);
  pmn_buf graph = external_graph("location=huge.bin;length=8");
  sketch_refuse_graph(f, &graph, "with external data \"huge.bin\" the model is above the limit of 2147483647 bytes");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_read, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_hash, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_numbers, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_names, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_links, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_size, sketch_setup, sketch_teardown),
  };
  return cmocka_run_group_tests_name("onnx_external", tests, NULL, NULL);
}
