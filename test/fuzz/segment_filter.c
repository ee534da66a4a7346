/*
 * segment_filter.c
 *		libFuzzer target: the parser of segment filters, built alone.
 *
 * Every allocation is one of its own, so that AddressSanitizer sees each byte too far.  What is read
 * must print as a text that reads back and prints as itself, and so must its JSON form.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "types/segment_tree.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that was allocated for one input. */
typedef struct Allocation
{
	struct Allocation *next;
	void	   *memory;
} Allocation;

static Allocation *allocations = NULL;

/* malloc() that is remembered; an allocator of the parser never fails. */
static void *
allocate(void *context, size_t size)
{
	Allocation *allocation = malloc(sizeof(Allocation));

	(void) context;
	if (allocation == NULL || (allocation->memory = malloc(size)) == NULL)
		abort();
	allocation->next = allocations;
	allocations = allocation;
	return allocation->memory;
}

/* Frees it all. */
static void
free_all(void)
{
	while (allocations != NULL)
	{
		Allocation *next = allocations->next;

		free(allocations->memory);
		free(allocations);
		allocations = next;
	}
}

/* Stops with what was read and what came of it. */
static void
fail(const char *what, const char *from, const char *to)
{
	fprintf(stderr, "%s\nfrom: %s\nto:   %s\n", what, from, to);
	abort();
}

/* Reads a text that must be good and compares what it prints as. */
static void
read_back(const char *text, bool utf8, const char *canonical, const SegmentArena *arena)
{
	SegmentError error;
	SegmentNode *node = segment_parse(text, strlen(text), utf8, arena, &error);

	if (node == NULL)
		fail("not read back", text, error.message);
	if (strcmp(segment_print(node, arena), canonical) != 0)
		fail("reads back as something else", text, segment_print(node, arena));
}

/* One encoding. */
static void
run(const char *text, size_t size, bool utf8)
{
	SegmentArena arena = {allocate, NULL};
	SegmentError error;
	SegmentNode *node = segment_parse(text, size, utf8, &arena, &error);

	if (node == NULL)
	{
		if (error.offset > size || error.message[0] == '\0')
			fail("an error without a place", "", error.message);
	}
	else
	{
		const char *canonical = segment_print(node, &arena);
		const char *json = segment_print_json(node, &arena);

		if (strlen(canonical) <= SEGMENT_MAX_LENGTH)
			read_back(canonical, utf8, canonical, &arena);
		if (strlen(json) <= SEGMENT_MAX_JSON_LENGTH)
			read_back(json, utf8, canonical, &arena);
	}
	free_all();
}

/* What libFuzzer calls: a copy of its own size, without a zero byte after it. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char key[SEGMENT_MAX_VERSION_KEY];
	char	   *text = malloc(size == 0 ? 1 : size);

	if (text == NULL)
		abort();
	if (size > 0)
		memcpy(text, data, size);
	run(text, size, true);
	run(text, size, false);
	if (segment_version_key(text, size, key) > (int) sizeof(key))
		abort();
	free(text);
	return 0;
}
