/* hdf5_weights.h - the weights that a Keras .h5 file holds. What the parts of pomona-hdf5 share.
 *
 * The file is not trusted. HDF5's library is large and has had many holes, which is why it runs here, where there is
 * nothing to take: no way to open a file, little memory, an end to its time (hdf5_main.c). What the file claims is
 * checked against limits before it is used; whatever is odd ends the program with one line on standard error.
 */
#ifndef HDF5_WEIGHTS_H
#define HDF5_WEIGHTS_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  TENSORS_MAX = 20000,
  RANK_MAX = 4,
  NAME_SIZE = 512,
  DEPTH_MAX = 16, /* groups within groups */
  TENSOR_BYTES_MAX = 1 << 30,
  EXPANSION_MAX = 16, /* floats to the bytes that the file has for them, when it is compressed */
};

/* A dataset to be written out. */
typedef struct tensor {
  char name[NAME_SIZE]; /* LAYER/PART, the layer perhaps with groups before it; printable ASCII without " and \ */
  hid_t dataset;
  int rank;
  hsize_t shape[RANK_MAX];
  uint64_t bytes; /* as float32 */
} tensor;

typedef struct tensor_list {
  tensor *tensors; /* in the order in which Keras reads them */
  size_t count, capacity;
  const char *layout; /* "keras2" or "keras3" */
} tensor_list;

/* Prints one line on standard error and ends the program. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, with what HDF5 says about its last error. */
_Noreturn void fail_hdf5(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *allocate(size_t count, size_t size);

/* Everything that Keras would read of the file, in its order. */
void list_tensors(hid_t file, uint64_t file_size, tensor_list *list);
/* The tensors as a safetensors file on standard output. */
void write_stream(const tensor_list *list);

#endif
