/* pmn_s3_xml.c - see pmn_s3_xml.h. */
#define _GNU_SOURCE /* explicit_bzero */
#include "pmn_s3_xml.h"

#include "pmn_mem.h"

#include <expat.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_MAX = 16, PATH_MAX_SIZE = 512, TEXT_MAX = 16 << 10 };

static const char web_page[] = "a web page; does a proxy or another server answer in its place?";

typedef struct reading {
  XML_Parser parser;
  const char *root;
  pmn_s3_xml_text *on_text;
  void *arg;
  int depth;
  char path[PATH_MAX_SIZE];
  size_t ends[DEPTH_MAX]; /* of `path`, when so many elements are open */
  pmn_buf text;
  pmn_status st;
  pmn_err *err;
} reading;

static void *allocate(size_t size) {
  return pmn_alloc(size, 1);
}
static void *reallocate(void *old, size_t size) {
  return pmn_realloc(old, size, 1);
}

static void stop(reading *self, const char *what) {
  if (self->st == PMN_STATUS_OK) {
    self->st = pmn_err_set(self->err, PMN_STATUS_NETWORK, 0, "the answer is no XML as S3 writes it: %s", what);
  }
  XML_StopParser(self->parser, XML_FALSE);
}

static void on_start(void *arg, const char *name, const char **attributes) {
  reading *self = arg;
  (void)attributes;
  size_t end = self->depth > 0 ? self->ends[self->depth - 1] : 0, length = strlen(name), slash = end > 0;
  if (self->depth == 0 && self->root != NULL && strcmp(name, self->root) != 0) {
    stop(self, strcasecmp(name, "html") == 0 ? web_page : "another root element");
  } else if (self->depth == DEPTH_MAX || length >= PATH_MAX_SIZE - end - slash) {
    stop(self, "nested too deeply");
  } else {
    if (self->depth == 0) length = 0; /* the root is not part of paths */
    if (slash) self->path[end] = '/';
    memcpy(self->path + end + slash, name, length);
    self->ends[self->depth++] = end + slash + length;
    pmn_buf_clear(&self->text);
  }
}

static void on_text(void *arg, const char *text, int size) {
  reading *self = arg;
  if (self->st != PMN_STATUS_OK) return;
  if ((size_t)size > TEXT_MAX - self->text.size) {
    stop(self, "a text is too long");
    return;
  }
  self->st = pmn_buf_append(&self->text, text, (size_t)size, self->err);
  if (self->st != PMN_STATUS_OK) XML_StopParser(self->parser, XML_FALSE);
}

static void on_end(void *arg, const char *name) {
  reading *self = arg;
  (void)name;
  if (self->st != PMN_STATUS_OK)
    return; /* expat tells the end of an empty element although it was stopped at its start */
  self->path[self->ends[--self->depth]] = '\0';
  if (self->depth > 0) {
    self->st = self->on_text(self->arg, self->path, self->text.data, self->err);
  }
  if (self->st != PMN_STATUS_OK) XML_StopParser(self->parser, XML_FALSE);
  pmn_buf_clear(&self->text);
}

static void on_doctype(void *arg, const char *name, const char *system, const char *public, int internal) {
  (void)system;
  (void)public;
  (void)internal;
  stop(arg, strcasecmp(name, "html") == 0 ? web_page : "a document type");
}

pmn_status pmn_s3_xml_parse(const pmn_buf *document, const char *root, pmn_s3_xml_text *text, void *arg, pmn_err *err) {
  static const XML_Memory_Handling_Suite memory = {allocate, reallocate, pmn_free};
  reading self = {.root = root, .on_text = text, .arg = arg, .err = err};
  pmn_buf_init(&self.text, TEXT_MAX);
  self.st = pmn_buf_reserve(&self.text, TEXT_MAX, err); /* growing, it would leave copies behind */
  if (self.st != PMN_STATUS_OK) return self.st;
  self.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
  if (self.parser == NULL) {
    pmn_buf_reset(&self.text);
    return pmn_err_memory(err, document->size, "an answer in XML");
  }
  XML_SetUserData(self.parser, &self);
  XML_SetElementHandler(self.parser, on_start, on_end);
  XML_SetCharacterDataHandler(self.parser, on_text);
  XML_SetStartDoctypeDeclHandler(self.parser, on_doctype);
  if (document->size == 0 || document->size > INT_MAX) {
    stop(&self, document->size == 0 ? "it is empty" : "too long");
  } else if (XML_Parse(self.parser, document->data, (int)document->size, XML_TRUE) != XML_STATUS_OK &&
             self.st == PMN_STATUS_OK) {
    enum XML_Error code = XML_GetErrorCode(self.parser);
    if (code == XML_ERROR_NO_MEMORY) {
      self.st = pmn_err_memory(err, document->size, "an answer in XML");
    } else {
      stop(&self, XML_ErrorString(code));
    }
  }
  XML_ParserFree(self.parser);
  explicit_bzero(self.text.data, self.text.capacity);
  pmn_buf_reset(&self.text);
  return self.st;
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

pmn_status pmn_s3_url_decode(const char *text, pmn_buf *out, pmn_err *err) {
  pmn_buf_clear(out);
  pmn_status st = pmn_buf_reserve(out, strlen(text), err);
  for (; st == PMN_STATUS_OK && *text != '\0'; text++) {
    char byte = *text == '+' ? ' ' : *text;
    if (*text == '%') {
      int high = hex_value(text[1]), low = high < 0 ? -1 : hex_value(text[2]);
      if (low < 0 || high + low == 0) {
        return pmn_err_set(err, PMN_STATUS_NETWORK, 0, "the answer holds a name that is not encoded as S3 does it");
      }
      byte = (char)(high << 4 | low);
      text += 2;
    }
    out->data[out->size++] = byte;
  }
  if (st == PMN_STATUS_OK) out->data[out->size] = '\0';
  return st;
}
