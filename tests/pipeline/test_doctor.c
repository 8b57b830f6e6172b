/* test_doctor.c - the doctor's child: what it answers, that it ends, and what is said when it does neither; a diagnosis
 * of a machine without OpenCL, with every allocation failing once. */
#include "check.h"

#include "pmn_clock.h"
#include "pmn_doctor.h"
#include "pmn_mem.h"

#include <errno.h>
#include <sys/wait.h>

static void ask(const char *program, const char *name, double seconds, char verdict[600]) {
  pmn_err err = PMN_ERR_INIT;
  check_ok(pmn_doctor_ask(program, name, 0, seconds, verdict, &err));
  /* No child is left, not even a dead one. */
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  assert_int_equal(errno, ECHILD);
}

static void test_answers(void **state) {
  (void)state;
  char verdict[600];
  ask("/bin/true", "plain", 10, verdict);
  assert_string_equal(verdict, "yes");
  ask("/bin/false", "plain", 10, verdict);
  assert_string_equal(verdict, "no: it ended without a word");
  ask(POMONA, "nothing", 60, verdict);
  assert_string_equal(verdict, "no: there is no probe \"nothing\"");
  pmn_err err = PMN_ERR_INIT;
  check_fails(pmn_doctor_ask("/nowhere/pomona", "plain", 0, 1, verdict, &err), PMN_STATUS_DEVICE, "/nowhere/pomona");
}

static void test_killed(void **state) {
  (void)state;
  char folder[64], script[96], verdict[600];
  double start = pmn_clock_seconds();
  ask(POMONA, "sleep", 0.25, verdict);
  assert_string_equal(verdict, "no: no answer within 0.25 s");
  assert_true(pmn_clock_seconds() - start >= 0.25);
  check_folder(folder);
  snprintf(script, sizeof script, "%s/crash", folder);
  FILE *file = fopen(script, "w");
  assert_non_null(file);
  fputs("#!/bin/sh\necho half a word; kill -SEGV $$\n", file);
  fclose(file);
  assert_int_equal(chmod(script, 0700), 0);
  ask(script, "plain", 10, verdict);
  assert_non_null(strstr(verdict, "no: ended by signal 11"));
  check_folder_remove(folder);
}

/* On the device that the environment offers, whatever it is. */
static void test_device(void **state) {
  (void)state;
  char verdict[600];
  ask(POMONA, "plain", 300, verdict);
  if (strstr(verdict, "no OpenCL") != NULL) check_skip();
  assert_string_equal(verdict, "yes");
  /* PTX is refused by every compiler but one. */
  ask(POMONA, "laneid", 300, verdict);
  print_message("laneid: %s\n", verdict);
  assert_true(strcmp(verdict, "yes") == 0 || strstr(verdict, "no: ") == verdict);
}

static void check_facts(const pmn_diagnosis *diagnosis) {
  int32_t count, advice = 0;
  const pmn_fact *facts = pmn_diagnosis_facts(diagnosis, &count);
  for (int32_t i = 0; i < count; i++) advice += strcmp(facts[i].section, "advice") == 0;
  assert_true(count > 10 && advice >= 2);
  assert_true(pmn_diagnosis_healthy(diagnosis));
  assert_non_null(strstr(pmn_diagnosis_record(diagnosis), "\"healthy\": true"));
}

static void test_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_diagnosis *diagnosis;
  pmn_doctor_options options = PMN_DOCTOR_OPTIONS_INIT;
  int failures = 0;
  bool done = false;
  for (int64_t k = 0; !done; k++) {
    (void)pmn_mem_fail_after(k);
    pmn_status status = pmn_doctor(&options, &diagnosis, &err);
    done = pmn_mem_fail_after(-1) <= k;
    if (status == PMN_STATUS_OK) check_facts(diagnosis);
    if (status != PMN_STATUS_OK) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    failures += status != PMN_STATUS_OK;
    pmn_diagnosis_destroy(diagnosis);
  }
  assert_true(failures > 30);
  options.struct_size--;
  check_fails(pmn_doctor(&options, &diagnosis, &err), PMN_STATUS_ARGUMENT, "version");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_killed),
      cmocka_unit_test(test_device), cmocka_unit_test(test_memory)};
  char folder[64];
  int32_t count;
  pmn_device_info info;
  check_folder(folder);
  /* The loader looks once: this process finds no driver, its children find what there is. */
  const char *vendors = getenv("OCL_ICD_VENDORS");
  char *kept = vendors != NULL ? strdup(vendors) : NULL;
  setenv("OCL_ICD_VENDORS", folder, 1);
  if (pmn_devices_list(&info, 1, &count, NULL) != PMN_STATUS_OK || count != 1) return 1;
  if (kept != NULL)
    setenv("OCL_ICD_VENDORS", kept, 1);
  else
    unsetenv("OCL_ICD_VENDORS");
  free(kept);
  check_folder_remove(folder);
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
