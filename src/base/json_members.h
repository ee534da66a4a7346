/*
 * json_members.h
 *		Picking members out of a JSON object's text without building a tree.
 */
#ifndef ADAPTY_JSON_MEMBERS_H
#define ADAPTY_JSON_MEMBERS_H

#include "postgres.h"

/*
 * The members of the outermost object that are strings or numbers and have one of n names: values[i]
 * is that of names[i], NULL if there is none.  Of equal names the last one counts.  false if the text
 * is not JSON.  Results are in the current memory context.
 */
extern bool json_members(const char *json, const char *const *names, int n, char **values);

#endif							/* ADAPTY_JSON_MEMBERS_H */
