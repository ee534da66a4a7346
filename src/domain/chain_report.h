/*
 * chain_report.h
 *		What a report of a subscription's transaction says happened: inputs of the state machine.
 */
#ifndef ADAPTY_CHAIN_REPORT_H
#define ADAPTY_CHAIN_REPORT_H

#include "postgres.h"

#include "domain/lifecycle.h"

/* A report and what was known before it. */
typedef struct ChainReport
{
	const ChainTransaction *merged; /* the transaction as it is known now */
	const ChainTransaction *known;	/* the same transaction before; NULL if it is new */
	const ChainTransaction *newest; /* the chain's newest before; NULL if the chain is new */
	bool		is_newest;		/* the transaction is the newest now */
	bool		is_other_product;	/* than the chain's newest had before */
	TimestampTz noticed_at;		/* when what the report does not date was so: its own date, or now */
} ChainReport;

typedef struct DatedInput
{
	LifecycleInput input;
	TimestampTz at;
} DatedInput;

#define MAX_REPORT_INPUTS 6

/* The inputs of a report, in the order of their effects; returns how many. */
extern int	chain_report_inputs(const ChainReport *report, DatedInput *inputs);

#endif							/* ADAPTY_CHAIN_REPORT_H */
