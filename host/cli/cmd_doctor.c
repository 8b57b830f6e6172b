/* cmd_doctor.c - pomona doctor: what a new machine offers, and what it lacks; and the child that probes a device. */
#include "cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static const char help[] =
    "Usage: pomona doctor [OPTION]...\n"
    "Examines a machine: the program, the processor, OpenCL's drivers and every OpenCL device, which is checked "
    "against\n"
    "the plain reference, launched on and copied to; and says what to do about what is missing.\n"
    "On NVIDIA devices inline PTX is tried too, each instruction in a process of its own that is killed if it "
    "hangs.\n\n"
    "Options:\n"
    "      --json      all of it as JSON\n"
    "      --seconds S how long a probe may take (60)\n"
    "  -h, --help      this text\n\n"
    "Exit code: 0 every device that is there is right, or there is none; 1 a device fails.\n";

enum { OPT_JSON = 256, OPT_SECONDS, EXIT_SICK = 1 };

static const struct option long_options[] = {
    {"json", no_argument, NULL, OPT_JSON},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void print_text(const pmn_diagnosis *diagnosis) {
  int32_t count;
  int width = 0;
  const pmn_fact *facts = pmn_diagnosis_facts(diagnosis, &count);
  for (int32_t i = 0; i < count; i++) {
    int length = (int)strlen(facts[i].name);
    if (length > width) width = length;
  }
  for (int32_t i = 0; i < count; i++) {
    if (i == 0 || strcmp(facts[i].section, facts[i - 1].section) != 0) {
      printf("%s%s\n", i > 0 ? "\n" : "", facts[i].section);
    }
    printf("  %-*s  %s\n", width, facts[i].name, facts[i].value);
  }
}

int cmd_doctor(int argc, char **argv) {
  pmn_doctor_options options = PMN_DOCTOR_OPTIONS_INIT;
  pmn_diagnosis *diagnosis = NULL;
  pmn_err err = PMN_ERR_INIT;
  bool json = false;
  int64_t seconds;
  int letter;
  options.probe_program = "/proc/self/exe";
  opterr = 0;
  while ((letter = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
    switch (letter) {
    case OPT_JSON:
      json = true;
      break;
    case OPT_SECONDS:
      if (!cli_int64(optarg, 1, 3600, &seconds)) {
        return cli_usage("doctor", "--seconds %s is no number from 1 to 3600", optarg);
      }
      options.probe_seconds = (double)seconds;
      break;
    case 'h':
      fputs(help, stdout);
      return EXIT_ALL_ROWS;
    default:
      return cli_usage_option("doctor", long_options, argv, letter);
    }
  }
  if (optind < argc) return cli_usage("doctor", "unexpected argument %s", argv[optind]);
  pmn_status status = pmn_doctor(&options, &diagnosis, &err);
  if (status != PMN_STATUS_OK) return cli_fail(status, &err);
  if (json)
    printf("%s\n", pmn_diagnosis_record(diagnosis));
  else
    print_text(diagnosis);
  bool healthy = pmn_diagnosis_healthy(diagnosis);
  pmn_diagnosis_destroy(diagnosis);
  return healthy ? EXIT_ALL_ROWS : EXIT_SICK;
}

/* pomona doctor-probe NAME DEVICE: not for people. One line on standard output if the answer is no. */
int cmd_doctor_probe(int argc, char **argv) {
  pmn_err err = PMN_ERR_INIT;
  int64_t device;
  if (argc != 3 || !cli_int64(argv[2], 0, 4096, &device)) return cli_usage(NULL, "doctor-probe is the doctor's own");
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody is left to be told */
  if (pmn_doctor_probe(argv[1], (int32_t)device, &err) == PMN_STATUS_OK) return EXIT_ALL_ROWS;
  printf("%s\n", err.message);
  return EXIT_DEVICE;
}
