/* pmn_backend.c - see pmn_backend.h: finds a backend by name, checks what every backend may rely on, and dispatches.
 *
 * Everything here runs once per batch at most, so checks cost nothing beside the work behind them.
 */
#include "pmn_backends.h"

#include "pmn_clock.h"
#include "pmn_err.h"
#include "pmn_mem.h"

#include <string.h>

static const pmn_backend *const backends[] = {&pmn_backend_ref, &pmn_backend_cpu, &pmn_backend_opencl};

const pmn_backend *pmn_backend_find(const char *name) {
  for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
    if (strcmp(backends[i]->name, name) == 0) return backends[i];
  }
  return NULL;
}

const pmn_backend *pmn_backend_of_precision(pmn_precision precision) {
  for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
    if (backends[i]->lower == precision) return backends[i];
  }
  return NULL;
}

static const char *const precisions[PMN_PRECISION_COUNT] = {
    [PMN_PRECISION_FP32] = "fp32", [PMN_PRECISION_BF16] = "bf16", [PMN_PRECISION_FP16] = "fp16"};

bool pmn_precision_find(const char *name, pmn_precision *precision) {
  *precision = PMN_PRECISION_FP32;
  for (int i = 0; name != NULL && i < PMN_PRECISION_COUNT; i++) {
    if (strcmp(precisions[i], name) == 0) *precision = (pmn_precision)i;
  }
  return name == NULL || strcmp(name, precisions[*precision]) == 0;
}

const char *pmn_precision_name(pmn_precision precision) {
  return precisions[precision];
}

pmn_status pmn_device_open(
    const pmn_backend *backend, const pmn_device_options *options, pmn_device **device, pmn_err *err) {
  *device = NULL;
  if (options->threads < 1 || options->index < -1) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "device %d with %d threads: a device is -1 or more, threads 1 or more", options->index, options->threads);
  }
  if (options->precision != PMN_PRECISION_FP32 && options->precision != backend->lower) {
    const char *precision = precisions[options->precision];
    return pmn_err_set(err, PMN_STATUS_DEVICE, 0, "the %s backend has no %s: --precision %s wants --backend %s",
        backend->name, precision, precision, pmn_backend_of_precision(options->precision)->name);
  }
  pmn_status st = backend->open(options, device, err);
  if (st != PMN_STATUS_OK) return st;
  (*device)->backend = backend;
  (*device)->precision = options->precision;
  pthread_mutex_init(&(*device)->lock, NULL);
  return PMN_STATUS_OK;
}

void pmn_device_close(pmn_device *device) {
  if (device == NULL) return;
  pthread_mutex_destroy(&device->lock);
  device->backend->close(device);
}

pmn_status pmn_network_create(
    pmn_device *device, const pmn_program *program, int32_t batch_max, pmn_network **network, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *network = NULL;
  if (batch_max < 1) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a batch of %d pictures: give 1 or more", batch_max);
  PMN_TRY(pmn_program_check(program, err));
  PMN_TRY(device->backend->network_create(device, program, batch_max, network, err));
  (*network)->device = device;
  (*network)->batch_max = batch_max;
  (*network)->picture_bytes =
      pmn_tensor_size(&program->tensors[program->input]) * (program->input_type == PMN_INPUT_U8 ? 1 : sizeof(float));
done:
  return st;
}

static pmn_status check_batch(const pmn_network *network, int32_t n, pmn_err *err) {
  if (n >= 1 && n <= network->batch_max) return PMN_STATUS_OK;
  return pmn_err_set(
      err, PMN_STATUS_ARGUMENT, 0, "a batch of %d pictures on a network made for 1 to %d", n, network->batch_max);
}

pmn_status pmn_network_run(pmn_network *network, const void *input, int32_t n, float *output, pmn_err *err) {
  pmn_status st = check_batch(network, n, err);
  if (st != PMN_STATUS_OK) return st;
  pmn_device *device = network->device;
  pthread_mutex_lock(&device->lock);
  double start = pmn_clock_seconds();
  st = device->backend->network_run(network, input, n, output, err);
  network->seconds += pmn_clock_seconds() - start;
  pthread_mutex_unlock(&device->lock);
  return st;
}

int32_t pmn_network_slots(const pmn_network *network) {
  int32_t slots = network->device->backend->slots;
  return slots > 0 ? slots : 1;
}

/* There is such a slot, and a batch is under way in it or not. */
static pmn_status check_slot(const pmn_network *network, int32_t slot, bool under_way, pmn_err *err) {
  if (slot < 0 || slot >= pmn_network_slots(network)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "slot %d of a network that has %d, counted from 0", slot,
        pmn_network_slots(network));
  }
  if ((network->under_way[slot] > 0) == under_way) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      under_way ? "no batch is under way in slot %d" : "a batch is under way in slot %d: collect it first", slot);
}

pmn_status pmn_network_input(pmn_network *network, int32_t slot, void **input, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_device *device = network->device;
  void **own = &network->inputs[slot >= 0 && slot < PMN_NETWORK_SLOTS_MAX ? slot : 0];
  *input = NULL;
  PMN_TRY(check_slot(network, slot, false, err));
  if (*own == NULL && device->backend->slots > 0) {
    pthread_mutex_lock(&device->lock);
    st = device->backend->network_input(network, slot, own, err);
    pthread_mutex_unlock(&device->lock);
  } else if (*own == NULL) {
    *own = pmn_alloc_aligned((size_t)network->batch_max, network->picture_bytes);
    if (*own == NULL) st = pmn_err_memory(err, network->picture_bytes, "a batch of pictures");
  }
  *input = *own;
done:
  return st;
}

pmn_status pmn_network_resize(pmn_network *network, pmn_filter filter, bool *resizes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_device *device = network->device;
  *resizes = false;
  for (int32_t i = 0; i < PMN_NETWORK_SLOTS_MAX; i++) {
    if (network->resizes || network->inputs[i] != NULL)
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "who resizes pictures is decided once, before the first of them");
  }
  if (device->backend->network_resize == NULL) goto done;
  pthread_mutex_lock(&device->lock);
  st = device->backend->network_resize(network, filter, resizes, err);
  pthread_mutex_unlock(&device->lock);
  network->resizes = *resizes;
done:
  return st;
}

static pmn_status check_submit(const pmn_network *network, int32_t slot, int32_t n, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(check_batch(network, n, err));
  PMN_TRY(check_slot(network, slot, false, err));
  if (network->inputs[slot] == NULL)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "nobody has asked where the pictures of slot %d belong", slot);
done:
  return st;
}

pmn_status pmn_network_submit_pictures(
    pmn_network *network, int32_t slot, const pmn_picture_size *sizes, int32_t n, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_device *device = network->device;
  PMN_TRY(check_submit(network, slot, n, err));
  if (!network->resizes)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pictures of their own sizes: this network does not resize");
  pthread_mutex_lock(&device->lock);
  st = device->backend->network_submit_pictures(network, slot, sizes, n, err);
  pthread_mutex_unlock(&device->lock);
  if (st == PMN_STATUS_OK) network->under_way[slot] = n;
done:
  return st;
}

pmn_status pmn_network_submit(pmn_network *network, int32_t slot, int32_t n, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_device *device = network->device;
  PMN_TRY(check_submit(network, slot, n, err));
  if (device->backend->slots > 0) {
    pthread_mutex_lock(&device->lock);
    st = device->backend->network_submit(network, slot, n, err);
    pthread_mutex_unlock(&device->lock);
  }
  if (st == PMN_STATUS_OK) network->under_way[slot] = n;
done:
  return st;
}

pmn_status pmn_network_collect(pmn_network *network, int32_t slot, float *output, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(check_slot(network, slot, true, err));
  const pmn_backend *backend = network->device->backend;
  int32_t n = network->under_way[slot];
  network->under_way[slot] = 0;
  st = backend->slots > 0 ? backend->network_collect(network, slot, n, output, err)
                          : pmn_network_run(network, network->inputs[slot], n, output, err);
done:
  return st;
}

double pmn_network_seconds(const pmn_network *network) {
  return network->seconds;
}

pmn_status pmn_network_project(pmn_network *network, const pmn_linear_map *map, bool *taken, pmn_err *err) {
  pmn_device *device = network->device;
  *taken = false;
  if (device->backend->network_project == NULL) return PMN_STATUS_OK;
  for (int32_t i = 0; i < PMN_NETWORK_SLOTS_MAX; i++) {
    if (network->under_way[i] > 0)
      return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "a projection while a batch is under way");
  }
  pthread_mutex_lock(&device->lock);
  pmn_status st = device->backend->network_project(network, map, taken, err);
  pthread_mutex_unlock(&device->lock);
  return st;
}

void pmn_network_destroy(pmn_network *network) {
  if (network == NULL) return;
  const pmn_backend *backend = network->device->backend;
  if (backend->slots == 0) pmn_free(network->inputs[0]);
  backend->network_destroy(network);
}

bool pmn_network_times(const pmn_network *network, double *seconds) {
  const pmn_backend *backend = network->device->backend;
  if (backend->network_times == NULL) return false;
  backend->network_times(network, seconds);
  return true;
}

pmn_status pmn_device_tune(
    pmn_device *device, const pmn_program *program, int32_t batch, const pmn_tune_watch *watch, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (device->backend->tune == NULL)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "the %s backend has nothing to tune", device->backend->name);
  if (batch < 1) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a batch of %d pictures: give 1 or more", batch);
  PMN_TRY(pmn_program_check(program, err));
  pthread_mutex_lock(&device->lock);
  st = device->backend->tune(device, program, batch, watch, err);
  pthread_mutex_unlock(&device->lock);
done:
  return st;
}

pmn_status pmn_device_describer_create(pmn_device *device, pmn_descriptor_kind kind, int32_t keypoints_max,
    pmn_device_describer **describer, pmn_err *err) {
  *describer = NULL;
  if (keypoints_max < 0) {
    return pmn_err_set(
        err, PMN_STATUS_ARGUMENT, 0, "%d keypoints at most: give a number from 1, or 0 for all", keypoints_max);
  }
  if (device->backend->describer_create == NULL) return PMN_STATUS_OK;
  pmn_status st = device->backend->describer_create(device, kind, keypoints_max, describer, err);
  if (*describer != NULL) (*describer)->device = device;
  return st;
}

pmn_status pmn_device_describer_run(pmn_device_describer *describer, const pmn_gray_picture *pictures, int32_t n,
    pmn_described *described, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_device *device = describer->device;
  if (n < 1) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a batch of %d pictures: give 1 or more", n);
  for (int32_t i = 0; i < n; i++) PMN_TRY(pmn_describer_check(pictures[i].width, pictures[i].height, err));
  pthread_mutex_lock(&device->lock);
  st = device->backend->describer_run(describer, pictures, n, described, err);
  pthread_mutex_unlock(&device->lock);
done:
  return st;
}

void pmn_device_describer_destroy(pmn_device_describer *describer) {
  if (describer != NULL) describer->device->backend->describer_destroy(describer);
}

pmn_status pmn_device_syrk(pmn_device *device, const double *x, int32_t n, int32_t d, double *c, pmn_err *err) {
  if (n < 1 || d < 1) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "syrk of %d rows and %d columns: both must be 1 or more", n, d);
  }
  pthread_mutex_lock(&device->lock);
  pmn_status st = device->backend->syrk(device, x, n, d, c, err);
  pthread_mutex_unlock(&device->lock);
  return st;
}

pmn_status pmn_device_gemm(
    pmn_device *device, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err) {
  if (n < 1 || k < 1 || m < 1) {
    return pmn_err_set(
        err, PMN_STATUS_ARGUMENT, 0, "gemm of [%d, %d] by [%d, %d]': sizes must be 1 or more", n, k, m, k);
  }
  pthread_mutex_lock(&device->lock);
  pmn_status st = device->backend->gemm(device, a, b, n, k, m, y, err);
  pthread_mutex_unlock(&device->lock);
  return st;
}

double pmn_device_syrk_bytes(const pmn_device *device, int32_t n, int32_t d) {
  return device->backend->syrk_bytes == NULL ? 0.0 : device->backend->syrk_bytes(device, n, d);
}

double pmn_device_gemm_bytes(const pmn_device *device, int32_t n, int32_t k, int32_t m) {
  return device->backend->gemm_bytes == NULL ? 0.0 : device->backend->gemm_bytes(device, n, k, m);
}
