/* pmn_s3_xml.h - what S3 and STS say in XML, read by expat with bounds: no DTD, so no entities but XML's own five;
 * elements at most 16 deep; no text longer than 16 KiB, as the longest tokens are. The size of the whole is capped by
 * whoever received it. Texts may be keys: what held them is wiped.
 */
#ifndef PMN_S3_XML_H
#define PMN_S3_XML_H

#include "pmn_buf.h"

/* An element has ended: `path` is its names from below the root, "Contents/Key", and `text` what stood in it after its
 * last child. Children come before their parents. An error ends the reading. Texts are borrowed for the call. */
typedef pmn_status pmn_s3_xml_text(void *arg, const char *path, const char *text, pmn_err *err);

/* PMN_STATUS_NETWORK for anything that is no whole document with this root, NULL: any; who sends such things has been
 * cut short, or is not S3. */
PMN_MUST_USE pmn_status pmn_s3_xml_parse(
    const pmn_buf *document, const char *root, pmn_s3_xml_text *text, void *arg, pmn_err *err);

/* Replaces `out` by `text` with %XX decoded and + as a space, as S3 encodes keys with encoding-type=url.
 * PMN_STATUS_NETWORK for what is no such text, or holds a NUL. */
PMN_MUST_USE pmn_status pmn_s3_url_decode(const char *text, pmn_buf *out, pmn_err *err);

#endif
