/* pmn_cpu.c - the cpu backend: its device, and the table that pmn_backend.h asks for. */
#include "pmn_backends.h"
#include "pmn_cpu_blas.h"
#include "pmn_cpu_network.h"

#include "pmn_mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fill_info(const char *isa, pmn_device_info *info) {
  *info = (pmn_device_info){.type = PMN_DEVICE_CPU, .compute_units = pmn_pool_processors()};
  snprintf(info->backend, sizeof info->backend, "cpu");
  snprintf(info->driver, sizeof info->driver, "%s kernels", isa);
  snprintf(info->name, sizeof info->name, "this machine's processor");
  FILE *file = fopen("/proc/cpuinfo", "re");
  char line[256];
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "model name", 10) != 0 || strchr(line, ':') == NULL) continue;
    const char *name = strchr(line, ':') + 1;
    name += strspn(name, " ");
    snprintf(info->name, sizeof info->name, "%.*s", (int)strcspn(name, "\n"), name);
    break;
  }
  if (file != NULL) fclose(file);
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) info->memory_bytes = (uint64_t)pages * (uint64_t)page;
}

static pmn_status devices(pmn_device_info *list, int32_t capacity, int32_t *count, pmn_err *err) {
  (void)err;
  pmn_cpu_kernels kernels;
  *count = 1;
  if (capacity > 0 && pmn_cpu_kernels_find(NULL, PMN_PRECISION_FP32, &kernels)) fill_info(kernels.isa, &list[0]);
  return PMN_STATUS_OK;
}

static void close_device(pmn_device *device) {
  pmn_cpu_device *self = (pmn_cpu_device *)device;
  pmn_pool_destroy(self->pool);
  pmn_free(self);
}

/* Why there are no kernels of that name and precision. */
static pmn_status no_kernels(const pmn_device_options *options, const char *isa, pmn_err *err) {
  pmn_cpu_kernels best;
  const char *asked = options->isa == NULL ? ", which POMONA_ISA asks for" : "";
  bool any = pmn_cpu_kernels_find(NULL, options->precision, &best);
  if (options->precision == PMN_PRECISION_BF16 && !any) {
#ifdef PMN_CPU_BF16
    static const char lacking[] = "this processor has no AVX-512 BF16";
#else
    static const char lacking[] = "this program was built without AVX-512 BF16";
#endif
    return pmn_err_set(
        err, PMN_STATUS_DEVICE, 0, "%s, which --precision bf16 needs: compute in fp32, or on another machine", lacking);
  }
  return pmn_err_set(err, PMN_STATUS_DEVICE, 0, "this processor has no %s kernels for %s%s; its best are %s", isa,
      options->precision == PMN_PRECISION_BF16 ? "bf16" : "fp32", asked, any ? best.isa : "none");
}

static pmn_status open_device(const pmn_device_options *options, pmn_device **device, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_cpu_device *self = NULL;
  const char *isa = options->isa != NULL ? options->isa : getenv("POMONA_ISA");
  pmn_cpu_kernels kernels;
  if (isa != NULL && isa[0] == '\0') isa = NULL;
  if (!pmn_cpu_kernels_find(isa, options->precision, &kernels)) PMN_TRY(no_kernels(options, isa, err));
  if (options->index > 0) {
    PMN_FAIL(err, PMN_STATUS_DEVICE, "there is no cpu device %d; the only one is 0", options->index);
  }
  self = pmn_calloc(1, sizeof *self);
  if (self == NULL) {
    st = pmn_err_memory(err, sizeof *self, "a device");
    goto done;
  }
  self->kernels = kernels;
  fill_info(kernels.isa, &self->base.info);
  PMN_TRY(pmn_pool_create(options->threads, &self->pool, err));
  *device = &self->base;
  self = NULL;
done:
  if (self != NULL) close_device(&self->base);
  return st;
}

const pmn_backend pmn_backend_cpu = {
    .name = "cpu",
    .lower = PMN_PRECISION_BF16,
    .devices = devices,
    .open = open_device,
    .close = close_device,
    .network_create = pmn_cpu_network_create,
    .network_run = pmn_cpu_network_run,
    .network_destroy = pmn_cpu_network_destroy,
    .network_times = pmn_cpu_network_times,
    .syrk = pmn_cpu_syrk,
    .gemm = pmn_cpu_gemm_plain,
};
