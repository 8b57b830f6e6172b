/* test_ocl_pictures.c - networks that take pictures of their own sizes, on whatever OpenCL device there is, with the
 * kernels of both families: rows are those of pictures that the host has resized, bit for bit, with as many batches
 * under way as there are slots, and with buffers that hold few pictures only. */
#include "check.h"

#include "pmn_image.h"
#include "pmn_mem.h"
#include "pmn_ocl.h"

enum { W = 12, H = 9, C = 3, PICTURE = W * H * C, MOST = 11, BATCHES = 7 };

/* y = the bytes of the picture, each colour times 1 of its own and 2 of the next: exact. */
typedef struct mixer {
  pmn_tensor tensors[2];
  pmn_op op;
  pmn_program program;
  float weights[C * C], bias[C];
} mixer;

static void make_mixer(mixer *m) {
  *m = (mixer){.tensors = {{H, W, C, 0}, {H, W, C, 0}},
      .op = pmn_op_init(PMN_OP_CONV2D, "mixer", 0, 1),
      .weights = {1, 0, 2, 2, 1, 0, 0, 2, 1}};
  m->op.weights = m->weights;
  m->op.bias = m->bias;
  m->program = (pmn_program){.tensors = m->tensors,
      .ops = &m->op,
      .tensor_count = 2,
      .op_count = 1,
      .output = 1,
      .input_type = PMN_INPUT_U8,
      .input_scale = {1, 1, 1},
      .arena_size = (PICTURE + 15) / 16 * 16};
}

static const char *const families[] = {"vector", "tile"};
enum { FAMILIES = 2 };

static pmn_device *open_device(int family) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device;
  const pmn_device_options options = {.index = -1, .threads = 1, .isa = families[family]};
  check_ok(pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err));
  return device;
}

/* That resizes; its slices have `pictures` at most. */
static pmn_network *open_network(pmn_device *device, const mixer *m, pmn_filter filter, int32_t pictures) {
  pmn_err err = PMN_ERR_INIT;
  pmn_network *network;
  bool resizes = false;
  pmn_ocl_device *ocl = (pmn_ocl_device *)device;
  const cl_ulong most = ocl->buffer_bytes_max;
  ocl->buffer_bytes_max = (cl_ulong)(PMN_RAW_PIXELS * PICTURE * pictures);
  check_ok(pmn_network_create(device, &m->program, MOST, &network, &err));
  check_ok(pmn_network_resize(network, filter, &resizes, &err));
  assert_true(resizes);
  ocl->buffer_bytes_max = most;
  return network;
}

/* A batch: n pictures, one after the other, and as the host resizes them. */
typedef struct batch {
  int32_t n;
  pmn_picture_size sizes[MOST];
  uint8_t pixels[MOST * PMN_RAW_PIXELS * PICTURE], resized[MOST * PICTURE];
  size_t bytes;
} batch;

static uint32_t state = 3;

static int32_t draw(int32_t below) {
  state = state * 1664525 + 1013904223;
  return (int32_t)((state >> 8) % (uint32_t)below);
}

static void fill(batch *b, int32_t n, pmn_filter filter) {
  pmn_err err = PMN_ERR_INIT;
  pmn_resampler *host;
  check_ok(pmn_resampler_create(filter, W, H, &host, &err));
  b->n = n;
  b->bytes = 0;
  for (int32_t i = 0; i < n;) {
    pmn_picture_size size = {draw(4) > 0 ? 1 + draw(60) : W, draw(4) > 0 ? 1 + draw(60) : H};
    if (!pmn_resample_takes_raw(size.width, size.height, W, H)) continue;
    uint8_t *pixels = b->pixels + b->bytes;
    b->sizes[i] = size;
    b->bytes += (size_t)(size.width * size.height * C);
    for (uint8_t *p = pixels; p < b->pixels + b->bytes; p++) *p = (uint8_t)draw(256);
    const pmn_image image = {size.width, size.height, pixels};
    check_ok(pmn_resampler_run(host, &image, b->resized + i++ * PICTURE, &err));
  }
  pmn_resampler_destroy(host);
}

static void begin(pmn_network *network, int32_t slot, const batch *b) {
  pmn_err err = PMN_ERR_INIT;
  void *input;
  check_ok(pmn_network_input(network, slot, &input, &err));
  memcpy(input, b->pixels, b->bytes);
  check_ok(pmn_network_submit_pictures(network, slot, b->sizes, b->n, &err));
}

static void check_rows(pmn_network *network, int32_t slot, const batch *b) {
  pmn_err err = PMN_ERR_INIT;
  static float found[MOST * PICTURE], expected[MOST * PICTURE];
  check_ok(pmn_network_collect(network, slot, found, &err));
  check_ok(pmn_network_run(network, b->resized, b->n, expected, &err));
  for (int i = 0; i < b->n * PICTURE; i++) {
    const uint8_t *pixel = b->resized + i / C * C;
    int sum = pixel[i % C] + 2 * pixel[(i + 1) % C];
    if (memcmp(&found[i], &expected[i], sizeof *found) != 0 || found[i] < (float)sum || found[i] > (float)sum)
      fail_msg("picture %d of %d, value %d is %g, not %d", i / PICTURE, b->n, i % PICTURE, (double)found[i], sum);
  }
}

static void rows_are_the_same(void **unused) {
  (void)unused;
  static batch batches[BATCHES];
  mixer m;
  make_mixer(&m);
  for (int run = 0; run < FAMILIES * 3 * 2; run++) {
    pmn_filter filter = (pmn_filter)(run / 2 % 3);
    pmn_device *device = open_device(run / 6);
    pmn_network *network = open_network(device, &m, filter, run % 2 ? 3 : MOST);
    int32_t slots = pmn_network_slots(network);
    assert_true(slots > 1);
    for (int32_t i = 0; i < BATCHES + slots; i++) {
      if (i >= slots) check_rows(network, i % slots, &batches[i - slots]);
      if (i >= BATCHES) continue;
      fill(&batches[i], i % 3 == 2 ? MOST : 1 + draw(MOST), filter);
      begin(network, i % slots, &batches[i]);
    }
    begin(network, 0, &batches[0]); /* and is lost */
    pmn_network_destroy(network);
    pmn_device_close(device);
  }
}

/* Who resizes: nobody on a processor unless asked for, or where the network's input is not colours in bytes. */
static void who_resizes(void **unused) {
  (void)unused;
  pmn_err err = PMN_ERR_INIT;
  mixer m;
  make_mixer(&m);
  pmn_device *device = open_device(0);
  pmn_network *network;
  bool resizes;
  static const char *const asked[] = {"device", "host", NULL, "device", "no"};
  for (int i = 0; i < 5; i++) {
    bool f32 = i == 3, gpu = device->info.type == PMN_DEVICE_GPU;
    m.program.input_type = f32 ? PMN_INPUT_F32 : PMN_INPUT_U8;
    if (asked[i] != NULL)
      setenv("POMONA_RESIZE", asked[i], 1);
    else
      unsetenv("POMONA_RESIZE");
    check_ok(pmn_network_create(device, &m.program, 1, &network, &err));
    if (i == 4) {
      check_fails(pmn_network_resize(network, PMN_FILTER_BICUBIC, &resizes, &err), PMN_STATUS_ARGUMENT, "\"no\"");
    } else {
      check_ok(pmn_network_resize(network, PMN_FILTER_BICUBIC, &resizes, &err));
      assert_int_equal(resizes, i == 0 || (i == 2 && gpu));
    }
    pmn_network_destroy(network);
  }
  pmn_device_close(device);
  setenv("POMONA_RESIZE", "device", 1);
  const pmn_device_options options = {.index = -1, .threads = 1, .isa = ""};
  m.program.input_type = PMN_INPUT_U8;
  check_ok(pmn_device_open(pmn_backend_find("cpu"), &options, &device, &err));
  check_ok(pmn_network_create(device, &m.program, 1, &network, &err));
  check_ok(pmn_network_resize(network, PMN_FILTER_BICUBIC, &resizes, &err));
  assert_false(resizes);
  void *input;
  check_ok(pmn_network_input(network, 0, &input, &err));
  check_fails(pmn_network_submit_pictures(network, 0, &(pmn_picture_size){W, H}, 1, &err), PMN_STATUS_ARGUMENT,
      "does not resize");
  pmn_network_destroy(network);
  pmn_device_close(device);
}

static void refusals(void **unused) {
  (void)unused;
  static batch b;
  pmn_err err = PMN_ERR_INIT;
  mixer m;
  make_mixer(&m);
  bool resizes;
  pmn_device *device = open_device(0);
  pmn_network *network = open_network(device, &m, PMN_FILTER_BILINEAR, MOST);
  check_fails(pmn_network_resize(network, PMN_FILTER_BICUBIC, &resizes, &err), PMN_STATUS_ARGUMENT, "decided once");
  const pmn_picture_size bad[] = {{W, H}, {2 * W + 1, 2 * H}};
  check_fails(pmn_network_submit_pictures(network, 0, bad, 1, &err), PMN_STATUS_ARGUMENT, "slot 0");
  fill(&b, MOST, PMN_FILTER_BILINEAR);
  begin(network, 0, &b);
  check_fails(pmn_network_submit_pictures(network, 0, b.sizes, b.n, &err), PMN_STATUS_ARGUMENT, "under way");
  check_rows(network, 0, &b);
  check_fails(pmn_network_submit_pictures(network, 0, bad, 2, &err), PMN_STATUS_ARGUMENT, "25 x 18");
  check_fails(pmn_network_submit_pictures(network, 0, b.sizes, 0, &err), PMN_STATUS_ARGUMENT, "batch of 0");
  begin(network, 0, &b); /* the slot is free */
  check_rows(network, 0, &b);
  pmn_network_destroy(network);
  pmn_device_close(device);
}

/* Memory runs out anywhere: an error, no leak, and the slot is free. */
static void memory(void **unused) {
  (void)unused;
  static batch b;
  mixer m;
  make_mixer(&m);
  pmn_device *device = open_device(0);
  fill(&b, MOST, PMN_FILTER_BICUBIC);
  int failures = 0;
  bool done = false;
  for (int64_t k = 0; !done; k++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_network *network = open_network(device, &m, PMN_FILTER_BICUBIC, MOST);
    void *input;
    check_ok(pmn_network_input(network, 0, &input, &err));
    memcpy(input, b.pixels, b.bytes);
    pmn_mem_fail_after(k);
    pmn_status st = pmn_network_submit_pictures(network, 0, b.sizes, b.n, &err);
    done = pmn_mem_fail_after(-1) <= k;
    if (st != PMN_STATUS_OK) {
      assert_int_equal(st, PMN_STATUS_NO_MEMORY);
      failures++;
      begin(network, 0, &b);
    }
    check_rows(network, 0, &b);
    pmn_network_destroy(network);
  }
  assert_true(failures >= 10);
  pmn_device_close(device);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_the_same),
      cmocka_unit_test(refusals),
      cmocka_unit_test(memory),
      cmocka_unit_test(who_resizes),
  };
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  setenv("POMONA_RESIZE", "device", 1);
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
