/*
 * segment_filter.c
 *		The base type segment_filter: input, output, binary form, JSON, equality, hash.
 *
 * Everything that reads goes through the one parser (segment_parse.c), so that no value exists that
 * it would not take.  Errors say where: the character, counted from 1, and the piece.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/compat.h"
#include "types/segment_filter.h"

#define WIRE_VERSION 1			/* first byte of the binary form */
#define SHOWN_BYTES 60			/* of the piece that is wrong */

PG_FUNCTION_INFO_V1(adapty_segment_filter_in);
PG_FUNCTION_INFO_V1(adapty_segment_filter_out);
PG_FUNCTION_INFO_V1(adapty_segment_filter_recv);
PG_FUNCTION_INFO_V1(adapty_segment_filter_send);
PG_FUNCTION_INFO_V1(adapty_segment_filter_eq);
PG_FUNCTION_INFO_V1(adapty_segment_filter_ne);
PG_FUNCTION_INFO_V1(adapty_segment_filter_hash);
PG_FUNCTION_INFO_V1(adapty_segment_filter_hash_extended);
PG_FUNCTION_INFO_V1(adapty_segment_filter_from_jsonb);
PG_FUNCTION_INFO_V1(adapty_segment_filter_to_jsonb);

/* palloc() for the parser. */
static void *
arena_palloc(void *context, size_t size)
{
	(void) context;
	return palloc(size);
}

const SegmentArena segment_palloc_arena = {arena_palloc, NULL};

/* The piece of a text that is wrong, for an error's detail. */
static char *
wrong_piece(const char *text, size_t length, const SegmentError *error)
{
	size_t		piece = error->length > 0 ? error->length : length - error->offset;

	if (error->offset >= length)
		return pstrdup("That is the end of the filter.");
	piece = Min(piece, length - error->offset);
	if (piece > SHOWN_BYTES)
		return psprintf("At \"%s...\".", pnstrdup(text + error->offset,
												  pg_mbcliplen(text + error->offset, (int) piece, SHOWN_BYTES)));
	return psprintf("At \"%s\".", pnstrdup(text + error->offset, piece));
}

/*
 * A value from text.  ERROR (22P02) with the place of what is wrong, (54000) if it is too large; to
 * escontext if the caller asked for that, and then NULL.
 */
static SegmentFilter *
filter_from_text(const char *text, size_t length, struct Node *escontext)
{
	SegmentError error = {0};
	SegmentNode *node;
	const char *canonical;

	node = segment_parse(text, length, GetDatabaseEncoding() == PG_UTF8, &segment_palloc_arena, &error);
	if (node == NULL)
		ereturn_compat(escontext, NULL,
					   (errcode(error.too_large ? ERRCODE_PROGRAM_LIMIT_EXCEEDED : ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("invalid segment filter at character %d: %s",
							   pg_mbstrlen_with_len(text, (int) Min(error.offset, length)) + 1, error.message),
						error.too_large ? 0 : errdetail("%s", wrong_piece(text, length, &error)),
						error.hint[0] == '\0' ? 0 : errhint("%s", error.hint)));
	canonical = segment_print(node, &segment_palloc_arena);
	if (strlen(canonical) > SEGMENT_MAX_LENGTH)
		ereturn_compat(escontext, NULL,
					   (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("invalid segment filter: its canonical text has more than %d bytes", SEGMENT_MAX_LENGTH)));
	return (SegmentFilter *) cstring_to_text(canonical);
}

/* See segment_filter.h. */
SegmentNode *
segment_filter_tree(const SegmentFilter *filter)
{
	SegmentError error = {0};
	SegmentNode *node = segment_parse(VARDATA_ANY(filter), VARSIZE_ANY_EXHDR(filter),
									  GetDatabaseEncoding() == PG_UTF8, &segment_palloc_arena, &error);

	if (node == NULL)
		elog(ERROR, "a stored segment filter cannot be read: %s", error.message);
	return node;
}

/* segment_filter_in(cstring) */
Datum
adapty_segment_filter_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	SegmentFilter *filter = filter_from_text(text, strlen(text), fcinfo->context);

	if (filter == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(filter);
}

/* segment_filter_out(segment_filter): the canonical text. */
Datum
adapty_segment_filter_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(text_to_cstring((text *) PG_GETARG_SEGMENT_FILTER(0)));
}

/* segment_filter_recv(internal): a version byte and the text, which is read as any other. */
Datum
adapty_segment_filter_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buffer = (StringInfo) PG_GETARG_POINTER(0);
	int			version = pq_getmsgbyte(buffer);
	char	   *text;
	int			length;

	if (version != WIRE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("segment filter of unknown binary version %d", version),
				 errdetail("This server knows version %d.", WIRE_VERSION)));
	text = pq_getmsgtext(buffer, buffer->len - buffer->cursor, &length);
	PG_RETURN_POINTER(filter_from_text(text, (size_t) length, NULL));
}

/* segment_filter_send(segment_filter) */
Datum
adapty_segment_filter_send(PG_FUNCTION_ARGS)
{
	SegmentFilter *filter = PG_GETARG_SEGMENT_FILTER(0);
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, WIRE_VERSION);
	pq_sendtext(&buffer, VARDATA_ANY(filter), (int) VARSIZE_ANY_EXHDR(filter));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/* Are two filters written the same? */
static bool
filters_equal(FunctionCallInfo fcinfo)
{
	SegmentFilter *a = PG_GETARG_SEGMENT_FILTER(0);
	SegmentFilter *b = PG_GETARG_SEGMENT_FILTER(1);

	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* segment_filter = segment_filter: by the canonical text. */
Datum
adapty_segment_filter_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(filters_equal(fcinfo));
}

/* segment_filter <> segment_filter */
Datum
adapty_segment_filter_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!filters_equal(fcinfo));
}

/* Hash support function 1. */
Datum
adapty_segment_filter_hash(PG_FUNCTION_ARGS)
{
	SegmentFilter *filter = PG_GETARG_SEGMENT_FILTER(0);

	return hash_any((unsigned char *) VARDATA_ANY(filter), (int) VARSIZE_ANY_EXHDR(filter));
}

/* Hash support function 2. */
Datum
adapty_segment_filter_hash_extended(PG_FUNCTION_ARGS)
{
	SegmentFilter *filter = PG_GETARG_SEGMENT_FILTER(0);

	return hash_any_extended((unsigned char *) VARDATA_ANY(filter), (int) VARSIZE_ANY_EXHDR(filter),
							 PG_GETARG_INT64(1));
}

/* segment_filter(jsonb): from the JSON form; a JSON string is read as the language. */
Datum
adapty_segment_filter_from_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *json = PG_GETARG_JSONB_P(0);
	JsonbValue	scalar;
	char	   *text;

	if (JB_ROOT_IS_SCALAR(json) && JsonbExtractScalar(&json->root, &scalar) && scalar.type == jbvString)
		text = pnstrdup(scalar.val.string.val, scalar.val.string.len);
	else
		text = JsonbToCString(NULL, &json->root, (int) VARSIZE(json));
	PG_RETURN_POINTER(filter_from_text(text, strlen(text), NULL));
}

/* jsonb(segment_filter): the JSON form. */
Datum
adapty_segment_filter_to_jsonb(PG_FUNCTION_ARGS)
{
	SegmentNode *node = segment_filter_tree(PG_GETARG_SEGMENT_FILTER(0));

	return DirectFunctionCall1(jsonb_in, CStringGetDatum(segment_print_json(node, &segment_palloc_arena)));
}
