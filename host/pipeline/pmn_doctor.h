/* pmn_doctor.h - how the doctor asks a probe in a process of its own. */
#ifndef PMN_DOCTOR_H
#define PMN_DOCTOR_H

#include "pmn_err.h"

/* Runs `program doctor-probe NAME DEVICE`, which calls pmn_doctor_probe, and waits `seconds` at most; a child that has
 * not answered is killed. verdict: "yes", or "no: " and why. PMN_STATUS_DEVICE when no child could be started. */
PMN_MUST_USE pmn_status pmn_doctor_ask(
    const char *program, const char *name, int32_t device, double seconds, char verdict[600], pmn_err *err);

#endif
