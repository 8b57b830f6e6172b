/* test_ocl_slots.c - batches under way on a device whose buffers hold a few pictures only, and what is left of them
 * when a queue fails, on whatever device there is. */
#include "check.h"

#include "pmn_backend.h"
#include "pmn_ocl.h"

#include <pthread.h>
#include <stdatomic.h>

enum { IN = 4, OUT = 256, MOST = 11, BATCHES = 5 };

typedef struct dense {
  pmn_tensor tensors[2];
  pmn_op op;
  pmn_program program;
  float weights[IN * OUT], bias[OUT];
} dense;

/* y[o] = bias[o] + sum of x[i] * weights[i][o], of small whole numbers: exact. */
static void make_dense(dense *d) {
  *d = (dense){.tensors = {{1, 1, IN, 0}, {1, 1, OUT, 0}}, .op = pmn_op_init(PMN_OP_CONV2D, "dense", 0, 1)};
  for (int i = 0; i < IN * OUT; i++) d->weights[i] = (float)(i % 13 - 6);
  for (int o = 0; o < OUT; o++) d->bias[o] = (float)(o % 7);
  d->op.weights = d->weights;
  d->op.bias = d->bias;
  d->program = (pmn_program){.tensors = d->tensors,
      .ops = &d->op,
      .tensor_count = 2,
      .op_count = 1,
      .output = 1,
      .input_type = PMN_INPUT_F32,
      .arena_size = OUT};
}

static void fill(int batch, int32_t n, float *x) {
  for (int i = 0; i < n * IN; i++) x[i] = (float)((i * 5 + batch * 3) % 11);
}

static void check_rows(const dense *d, int batch, int32_t n, const float *y) {
  float x[MOST * IN];
  fill(batch, n, x);
  for (int i = 0; i < n * OUT; i++) {
    float sum = d->bias[i % OUT];
    for (int k = 0; k < IN; k++) sum += x[i / OUT * IN + k] * d->weights[k * OUT + i % OUT];
    if (y[i] < sum || y[i] > sum) fail_msg("batch %d, value %d is %g, not %g", batch, i, (double)y[i], (double)sum);
  }
}

static pmn_network *open_network(pmn_device *device, const dense *d, int32_t pictures) {
  pmn_err err = PMN_ERR_INIT;
  pmn_network *network;
  ((pmn_ocl_device *)device)->buffer_bytes_max = sizeof(float) * OUT * (cl_ulong)pictures;
  check_ok(pmn_network_create(device, &d->program, MOST, &network, &err));
  return network;
}

static void begin(pmn_network *network, int batch, int32_t n) {
  pmn_err err = PMN_ERR_INIT;
  void *input;
  check_ok(pmn_network_input(network, batch % pmn_network_slots(network), &input, &err));
  fill(batch, n, input);
  check_ok(pmn_network_submit(network, batch % pmn_network_slots(network), n, &err));
}

static void end(pmn_network *network, const dense *d, int batch, int32_t n) {
  pmn_err err = PMN_ERR_INIT;
  float y[MOST * OUT] = {0};
  check_ok(pmn_network_collect(network, batch % pmn_network_slots(network), y, &err));
  check_rows(d, batch, n, y);
}

/* A batch of 11 in slices of 4: an upload waits until the slice before it has been computed. */
static void slices(void **state) {
  static const int32_t sizes[BATCHES] = {MOST, 4, 5, MOST, 9};
  pmn_err err = PMN_ERR_INIT;
  dense d;
  float x[MOST * IN], y[MOST * OUT];
  make_dense(&d);
  pmn_network *network = open_network(*state, &d, 4);
  int32_t slots = pmn_network_slots(network);
  assert_int_equal(slots, PMN_OCL_SLOTS);
  for (int begun = 0, done = 0; done < BATCHES; done++) {
    for (; begun < BATCHES && begun - done < slots; begun++) begin(network, begun, sizes[begun]);
    end(network, &d, done, sizes[done]);
  }
  fill(9, MOST, x);
  check_ok(pmn_network_run(network, x, MOST, y, &err));
  check_rows(&d, 9, MOST, y);
  pmn_network_destroy(network);
}

/* What a queue waits for, until a thread of its own lets it go on. */
typedef struct gate {
  cl_event event;
  pthread_t thread;
  atomic_bool open;
} gate;

static void *open_gate(void *arg) {
  gate *g = arg;
  usleep(50000);
  atomic_store(&g->open, true);
  clSetUserEventStatus(g->event, CL_COMPLETE);
  return NULL;
}

static void close_gate(pmn_ocl_device *device, cl_command_queue queue, gate *g) {
  cl_int code;
  atomic_init(&g->open, false);
  g->event = clCreateUserEvent(device->context, &code);
  assert_int_equal(code, CL_SUCCESS);
  assert_int_equal(clEnqueueBarrierWithWaitList(queue, 1, &g->event, NULL), CL_SUCCESS);
  assert_int_equal(pthread_create(&g->thread, NULL, open_gate, g), 0);
}

static void end_gate(gate *g) {
  pthread_join(g->thread, NULL);
  clReleaseEvent(g->event);
}

/* Whichever queue is behind: beginning does not wait for it, and kernels do not run before their pictures are there. */
static void a_queue_is_held_up(void **state) {
  pmn_ocl_device *device = *state;
  dense d;
  static gate g; /* its thread outlives a test that fails */
  make_dense(&d);
  for (int which = 0; which < 2; which++) {
    pmn_network *network = open_network(*state, &d, MOST);
    for (int batch = 0; batch < PMN_OCL_SLOTS; batch++) { /* what is in the buffers before */
      begin(network, batch, MOST);
      end(network, &d, batch, MOST);
    }
    close_gate(device, which == 0 ? device->queue : device->uploads, &g);
    for (int batch = 3; batch < 3 + PMN_OCL_SLOTS; batch++) begin(network, batch, MOST);
    assert_false(atomic_load(&g.open));
    for (int batch = 3; batch < 3 + PMN_OCL_SLOTS; batch++) end(network, &d, batch, MOST);
    end_gate(&g);
    pmn_network_destroy(network);
  }
}

/* A call that fails returns when nothing reads or writes its caller's memory any more. */
static void a_failure_waits(void **state) {
  pmn_err err = PMN_ERR_INIT;
  pmn_ocl_device *device = *state;
  dense d;
  static gate g; /* its thread outlives a test that fails */
  float x[MOST * IN] = {0}, y[MOST * OUT];
  void *input;
  make_dense(&d);
  pmn_network *network = open_network(*state, &d, MOST);
  check_ok(pmn_network_run(network, x, MOST, y, &err));
  check_ok(pmn_network_input(network, 0, &input, &err));
  for (int runs = 0; runs < 2; runs++) {
    cl_command_queue kept = device->queue;
    close_gate(device, device->uploads, &g);
    device->queue = NULL;
    pmn_status status = runs ? pmn_network_run(network, x, MOST, y, &err) : pmn_network_submit(network, 0, MOST, &err);
    bool open = atomic_load(&g.open);
    device->queue = kept;
    end_gate(&g);
    assert_int_equal(status, PMN_STATUS_DEVICE);
    assert_true(open);
  }
  pmn_network_destroy(network);
}

/* The batch that fails is gone, those before it are not, and the slot can be used again. */
static void a_queue_fails(void **state) {
  pmn_err err = PMN_ERR_INIT;
  pmn_ocl_device *device = *state;
  dense d;
  void *input;
  float x[MOST * IN], y[MOST * OUT];
  make_dense(&d);
  for (int which = 0; which < 2; which++) {
    cl_command_queue *queue = which == 0 ? &device->queue : &device->uploads, kept = *queue;
    pmn_network *network = open_network(*state, &d, 4);
    begin(network, 0, MOST);
    check_ok(pmn_network_input(network, 1, &input, &err));
    fill(1, MOST, input);
    fill(5, MOST, x);
    *queue = NULL;
    pmn_status submitted = pmn_network_submit(network, 1, MOST, &err), run;
    assert_non_null(strstr(err.message, "CL_INVALID_COMMAND_QUEUE"));
    run = pmn_network_run(network, x, MOST, y, &err);
    *queue = kept;
    assert_int_equal(submitted, PMN_STATUS_DEVICE);
    assert_int_equal(run, PMN_STATUS_DEVICE);
    check_fails(pmn_network_collect(network, 1, y, &err), PMN_STATUS_ARGUMENT, "no batch");
    begin(network, 1, 7);
    end(network, &d, 0, MOST);
    end(network, &d, 1, 7);
    pmn_network_destroy(network);
  }
}

static int open_device(void **state) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1};
  pmn_device *device = NULL;
  if (pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err) != PMN_STATUS_OK) return 1;
  *state = device;
  return 0;
}

static int close_device(void **state) {
  pmn_device_close(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(slices),
      cmocka_unit_test(a_queue_is_held_up),
      cmocka_unit_test(a_failure_waits),
      cmocka_unit_test(a_queue_fails),
  };
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  return cmocka_run_group_tests(tests, open_device, close_device);
}
