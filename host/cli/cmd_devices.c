/* cmd_devices.c - pomona devices: what there is to compute with. */
#include "cli.h"

#include <stdio.h>

enum { DEVICES_MAX = 64 };

static const char help[] =
    "Usage: pomona devices [OPTION]...\n"
    "Lists what this machine can compute with: the processor, and every OpenCL device.\n\n"
    "Columns: backend and index (for --backend and --device), type, memory, units, name, driver.\n\n"
    "Options:\n"
    "  -h, --help  this text\n";

int cmd_devices(int argc, char **argv) {
  static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
  static const char *const types[] = {[PMN_DEVICE_CPU] = "cpu", [PMN_DEVICE_GPU] = "gpu", [PMN_DEVICE_OTHER] = "other"};
  int letter;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    if (letter != 'h') return cli_usage_option("devices", options, argv, letter);
    fputs(help, stdout);
    return EXIT_ALL_ROWS;
  }
  if (optind < argc) return cli_usage("devices", "unexpected argument %s", argv[optind]);
  pmn_device_info list[DEVICES_MAX];
  int32_t count = 0;
  pmn_err err = PMN_ERR_INIT;
  pmn_status status = pmn_devices_list(list, DEVICES_MAX, &count, &err);
  if (status != PMN_STATUS_OK) return cli_fail(status, &err);
  printf("%-8s %5s  %-5s %8s %5s  %s\n", "backend", "index", "type", "memory", "units", "name, driver");
  for (int32_t i = 0; i < count && i < DEVICES_MAX; i++) {
    const pmn_device_info *d = &list[i];
    printf("%-8s %5d  %-5s %4.0f GiB %5d  %s, %s\n", d->backend, d->index, types[d->type],
        (double)d->memory_bytes / (1024.0 * 1024 * 1024), d->compute_units, d->name, d->driver);
  }
  return EXIT_ALL_ROWS;
}
