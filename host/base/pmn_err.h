/* pmn_err.h - filling in a pmn_err, and the one shape every fallible function has.
 *
 *   pmn_status f(..., pmn_err *err) {
 *     pmn_status st = PMN_STATUS_OK;
 *     ... PMN_TRY(g(..., err)); ... if (bad) PMN_FAIL(err, PMN_STATUS_X, "what, where, what to do");
 *   done:
 *     free everything (all frees accept NULL)
 *     return st;
 *   }
 */
#ifndef PMN_ERR_H
#define PMN_ERR_H

#include "pomona.h"

#define PMN_TRY(call)                                                                                                  \
  do {                                                                                                                 \
    st = (call);                                                                                                       \
    if (st != PMN_STATUS_OK) goto done;                                                                                \
  } while (0)

#define PMN_FAIL(err, status, ...)                                                                                     \
  do {                                                                                                                 \
    st = pmn_err_set((err), (status), 0, __VA_ARGS__);                                                                 \
    goto done;                                                                                                         \
  } while (0)

/* As PMN_FAIL, with the code of the library below (errno, cl_int, ...). */
#define PMN_FAIL_CODE(err, status, code, ...)                                                                          \
  do {                                                                                                                 \
    st = pmn_err_set((err), (status), (code), __VA_ARGS__);                                                            \
    goto done;                                                                                                         \
  } while (0)

/* Fills *err (if not NULL) and returns `status`. Control characters in the message become spaces: it stays one line. */
pmn_status pmn_err_set(pmn_err *err, pmn_status status, int32_t foreign, const char *format, ...) PMN_PRINTF(4, 5);

/* The one message for a failed allocation of `bytes`. */
pmn_status pmn_err_memory(pmn_err *err, size_t bytes, const char *what);

#endif
