/* pmn_graph_names.h - names of nodes: a hash table with open addressing, as networks have thousands of layers. */
#ifndef PMN_GRAPH_NAMES_H
#define PMN_GRAPH_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pmn_graph_name {
  char *text; /* owned; NULL: the slot is free */
  int32_t node;
} pmn_graph_name;

/* All zero is an empty one. */
typedef struct pmn_graph_names {
  pmn_graph_name *slots; /* [capacity], a power of 2, at most half full */
  size_t capacity, count;
} pmn_graph_names;

void pmn_graph_names_reset(pmn_graph_names *names);
/* NULL for no such name. Valid until the next addition. */
const pmn_graph_name *pmn_graph_names_find(const pmn_graph_names *names, const char *text);
/* The text as the table keeps it, until reset; a name that is there already keeps its node. NULL: no memory. */
const char *pmn_graph_names_add(pmn_graph_names *names, const char *text, int32_t node);

#endif
