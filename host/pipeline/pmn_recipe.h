/* pmn_recipe.h - the options that make the same features again, as a model keeps them: everything under "features" of
 * pmn_extract_options that a maker is made by, words by their number alone. */
#ifndef PMN_RECIPE_H
#define PMN_RECIPE_H

#include "pmn_store_file.h"

/* NULL when memory cannot be had. */
struct json_t *pmn_recipe_json(const pmn_extract_options *options);

/* Only those options; their texts are the recipe's own. */
typedef struct pmn_recipe {
  pmn_extract_options options;
} pmn_recipe;

void pmn_recipe_reset(pmn_recipe *recipe);
/* From the object that pmn_stored_enter has led to. PMN_STATUS_MODEL. What the values mean, a maker finds out. */
PMN_MUST_USE pmn_status pmn_recipe_read(const pmn_stored *stored, pmn_recipe *recipe, pmn_err *err);
/* *options become those of the recipe, texts where there are none yet; borrowed from it. */
void pmn_recipe_apply(const pmn_recipe *recipe, pmn_extract_options *options);
/* Is any of them set? */
bool pmn_recipe_is_set(const pmn_extract_options *options);

#endif
