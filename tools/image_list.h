/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEEP_TOOLS_IMAGE_LIST_H
#define DEEP_TOOLS_IMAGE_LIST_H

/* Paths of images to classify. Zero-initialise. */
#include <stddef.h>

typedef struct image_list {
    char **paths;
    size_t count;
    size_t capacity;
} image_list;

/*
 * Adds `input`: an image file, all images below a folder in the order of their bytes, or those that a list (a .txt, .tsv, .csv or .lst
 * file) names, one on each line, perhaps with a label behind; relative to `root`, or else to the list's folder.
 * An exit status, with a message unless EXIT_OK.
 */
int image_list_add(image_list *list, const char *input, const char *root);

void image_list_free(image_list *list);

#endif
