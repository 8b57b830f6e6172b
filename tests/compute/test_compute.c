/* test_compute.c - one backend (TEST_BACKEND) held against `ref`, and `ref` against goldens of other software.
 *
 * `cpu` is tested with every instruction set that this machine has, of bf16 too, with 1 and with 2 threads; `opencl`
 * with both families of kernels, whatever the device, and in a program of its own (TEST_FP16) with fp16. No OpenCL
 * device is a visible skip of the whole program, an instruction set that the machine has not a line that says so.
 */
#include "compute_check.h"

compute_config compute_configs[COMPUTE_CONFIGS_MAX];
int compute_config_count;
pmn_device *compute_reference;

/* Units in the last place that an activation may cost: on the judge its one rounding; on the cpu what pmn_cpu_math.h
 * counts, 5 half units, and five roundings after them; on opencl what OpenCL 1.2 (table 7.1) allows the longest of our
 * formulas, which is erfc with 16, and three products. */
static const double ref_units = 1.0, cpu_units = 5.0, opencl_units = 18.0;

/* Opens one configuration; false when the machine cannot run it. */
static bool config_open(
    const pmn_backend *backend, const char *isa, int32_t threads, double activation_units, const char *label) {
  pmn_err err = PMN_ERR_INIT;
  bool bf16 = strstr(label, "bf16") != NULL;
  bool fp16 = strstr(label, "fp16") != NULL;
  pmn_device_options options = {.index = -1, .threads = threads, .isa = isa};
  options.precision = bf16 ? PMN_PRECISION_BF16 : fp16 ? PMN_PRECISION_FP16 : PMN_PRECISION_FP32;
  pmn_device *device = NULL;
  pmn_status status = pmn_device_open(backend, &options, &device, &err);
  if (status != PMN_STATUS_OK) {
    print_message("[  SKIPPED ] %s: %s\n", label, err.message);
    if (status != PMN_STATUS_DEVICE) exit(1);
    return false;
  }
  print_message("%s: %s, %s\n", label, device->info.name, device->info.driver);
  compute_configs[compute_config_count++] =
      (compute_config){device, label, activation_units, !bf16 && strcmp(TEST_BACKEND, "cpu") == 0, bf16, fp16};
  return true;
}

int main(int argc, char **argv) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1};
  const pmn_backend *backend = pmn_backend_find(TEST_BACKEND);
  if (backend == NULL ||
      pmn_device_open(pmn_backend_find("ref"), &options, &compute_reference, &err) != PMN_STATUS_OK) {
    print_error("no backend " TEST_BACKEND " %s\n", err.message);
    return 1;
  }
  if (strcmp(TEST_BACKEND, "cpu") == 0) {
    config_open(backend, NULL, 1, cpu_units, "cpu, 1 thread");
    config_open(backend, NULL, 2, cpu_units, "cpu, 2 threads");
    config_open(backend, "baseline", 1, cpu_units, "cpu, baseline");
    config_open(backend, "avx2", 1, cpu_units, "cpu, avx2");
    config_open(backend, "avx512", 1, cpu_units, "cpu, avx512");
    config_open(backend, "avx512bf16", 1, cpu_units, "cpu, bf16 by avx512bf16, 1 thread");
    config_open(backend, "avx512bf16", 2, cpu_units, "cpu, bf16 by avx512bf16, 2 threads");
    config_open(backend, "amx", 1, cpu_units, "cpu, bf16 by amx, 1 thread");
    config_open(backend, "amx", 2, cpu_units, "cpu, bf16 by amx, 2 threads");
  } else if (strcmp(TEST_BACKEND, "opencl") == 0) {
    if (!config_open(backend, "vector", 1, opencl_units, TEST_FP16 ? "opencl, fp16, vector" : "opencl, vector"))
      return 77;
    config_open(backend, "tile", 1, opencl_units, TEST_FP16 ? "opencl, fp16, tile" : "opencl, tile");
#if TEST_FP16
    config_open(backend, "tensor", 1, opencl_units, "opencl, fp16, tensor");
#endif
  } else {
    config_open(backend, NULL, 1, ref_units, "ref, 1 thread");
    config_open(backend, NULL, 2, ref_units, "ref, 2 threads");
  }
  const struct CMUnitTest tests[] = {
#if !TEST_FP16 /* the goldens' factors are no halves, and matrix products store none */
    cmocka_unit_test(check_ops_goldens),
    cmocka_unit_test(check_matrix_syrk),
    cmocka_unit_test(check_matrix_gemm),
#endif
    cmocka_unit_test(check_ops_table),
    cmocka_unit_test(check_ops_sweep),
    cmocka_unit_test(check_ops_means),
    cmocka_unit_test(check_ops_activations),
    cmocka_unit_test(check_networks_chain),
    cmocka_unit_test(check_networks_batches),
    cmocka_unit_test(check_networks_slots),
    cmocka_unit_test(check_networks_arguments),
    cmocka_unit_test(check_networks_memory),
  };
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  int failures = cmocka_run_group_tests_name("compute " TEST_BACKEND, tests, NULL, NULL);
  for (int i = 0; i < compute_config_count; i++) pmn_device_close(compute_configs[i].device);
  pmn_device_close(compute_reference);
  return failures != 0;
}
