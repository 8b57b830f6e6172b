/* pmn_s3_wire.h - a call as it goes over the line: address, header lines, signature. Private to the room. */
#ifndef PMN_S3_WIRE_H
#define PMN_S3_WIRE_H

#include "pmn_s3_call.h"

enum { PMN_S3_LINES_MAX = PMN_S3_PAIRS_MAX + 8, PMN_S3_REGION = 64 };

typedef struct pmn_s3_wire {
  pmn_http_request request; /* points into the rest */
  pmn_buf url, lines;
  const char *headers[PMN_S3_LINES_MAX];
} pmn_s3_wire;

/* Replaces what *wire held ({0} at first). `keys`: NULL for none. `payload`: the body's SHA-256 in hex. A bucket whose
 * name can be part of a host's is addressed so, unless `config` wants it in the path. PMN_STATUS_ARGUMENT for header
 * values that no line can hold. */
PMN_MUST_USE pmn_status pmn_s3_wire_build(const pmn_s3_config *config, const pmn_s3_call *call, const pmn_s3_keys *keys,
    const char *region, const char *payload, time_t when, pmn_s3_wire *wire, pmn_err *err);
/* Wipes and frees. */
void pmn_s3_wire_reset(pmn_s3_wire *wire);

#endif
