/*
 * hooks.c
 *		The hooks' variables: empty until a higher layer fills them.
 */
#include "base/hooks.h"

wake_at_commit_hook_type wake_at_commit_hook = NULL;
wake_output_hook_type wake_output_hook = NULL;
