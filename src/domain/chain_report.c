/*
 * chain_report.c
 *		What a report of a subscription's transaction says happened: inputs of the state machine.
 *
 * Pure.  A store reports states, the machine wants what happened between two of them: the
 * transaction as it is known now is compared with how it was known before, or, if it is new, with a
 * transaction that has just been paid.  The end by the clock is no part of a report: see
 * chain_announce_end().
 */
#include "postgres.h"

#include "domain/chain_report.h"

/* The inputs gathered so far. */
typedef struct InputList
{
	const ChainReport *report;
	DatedInput *inputs;
	int			n;
} InputList;

static void
add_input(InputList *list, LifecycleInput input, TimestampTz at)
{
	Assert(list->n < MAX_REPORT_INPUTS);
	list->inputs[list->n].input = input;
	list->inputs[list->n].at = at;
	list->n++;
}

/*
 * When a change of the renewal or a pause was made: as the report says, unless it says what was
 * known before; else when it was noticed.
 */
static TimestampTz
switched_at(const ChainReport *report)
{
	const ChainTransaction *t = report->merged;

	if (HAS_TIME(t->renew_status_changed_at) &&
		!(report->known != NULL && report->known->renew_status_changed_at == t->renew_status_changed_at))
		return t->renew_status_changed_at;
	return report->noticed_at;
}

/* The transaction is new: what kind of purchase is it? */
static LifecycleInput
purchase_input(const ChainReport *report)
{
	const ChainTransaction *t = report->merged;
	const ChainTransaction *newest = report->newest;

	if (!report->is_newest)
		return t->is_trial ? INPUT_LATE_TRIAL : INPUT_LATE_PAID;
	if (t->is_trial)
		return INPUT_TRIAL_START;
	if (newest == NULL || newest->is_trial || !report->is_other_product)
		return INPUT_PAID;
	return t->purchased_at < chain_access_end(newest) ? INPUT_CHANGE_NOW : INPUT_CHANGE_AT_RENEWAL;
}

/*
 * Renewal of a new transaction.  It counts as switched off if the chain renewed until now, or if the
 * report says when it was switched off after the purchase: a product that never renews is not a
 * cancelled one.
 */
static void
add_new_renewal(InputList *list)
{
	const ChainReport *report = list->report;
	const ChainTransaction *t = report->merged;
	bool		was_off = HAS_TIME(t->renew_status_changed_at) && t->renew_status_changed_at >= t->purchased_at;

	if (t->renew_status)
		return;
	if (was_off || (report->newest != NULL && report->newest->renew_status))
		add_input(list, INPUT_RENEW_OFF, switched_at(report));
	else
		add_input(list, INPUT_NOT_RENEWING, t->purchased_at);
}

/* A billing issue that appears or goes; a new transaction may still carry its predecessor's. */
static void
add_billing(InputList *list)
{
	const ChainReport *report = list->report;
	const ChainTransaction *t = report->merged;
	const ChainTransaction *before = report->known != NULL ? report->known : report->newest;
	bool		had_issue = report->known != NULL && HAS_TIME(report->known->billing_issue_detected_at);

	if (!HAS_TIME(t->billing_issue_detected_at))
	{
		if (had_issue)
			add_input(list, INPUT_RECOVERED, report->noticed_at);
		return;
	}
	if (report->known == NULL && before != NULL &&
		before->billing_issue_detected_at == t->billing_issue_detected_at)
		return;
	if (chain_has_grace(t) && !(report->known != NULL && chain_has_grace(report->known)))
		add_input(list, INPUT_GRACE, t->billing_issue_detected_at);
	else if (!had_issue || (!chain_has_grace(t) && chain_has_grace(report->known)))
		add_input(list, INPUT_BILLING_ISSUE, t->billing_issue_detected_at);
}

/* What changed of a transaction that was known. */
static void
add_changes(InputList *list)
{
	const ChainReport *report = list->report;
	const ChainTransaction *t = report->merged;
	const ChainTransaction *known = report->known;

	if (known->is_trial && !t->is_trial)
		add_input(list, INPUT_PAID, report->noticed_at);
	/* what will renew after all may end later, too: that is no deferral */
	else if (t->expires_at > known->expires_at && !HAS_TIME(known->billing_issue_detected_at) &&
			 (known->renew_status || !t->renew_status))
		add_input(list, INPUT_DEFER, switched_at(report));
	if (known->renew_status && !t->renew_status)
		add_input(list, INPUT_RENEW_OFF, switched_at(report));
	else if (!known->renew_status && t->renew_status)
		add_input(list, INPUT_RENEW_ON, switched_at(report));
}

/* See chain_report.h. */
int
chain_report_inputs(const ChainReport *report, DatedInput *inputs)
{
	const ChainTransaction *t = report->merged;
	InputList	list = {report, inputs, 0};
	bool		had_pause = report->known != NULL && HAS_TIME(report->known->paused_at);
	bool		is_refunded = HAS_TIME(t->refunded_at) &&
		!(report->known != NULL && HAS_TIME(report->known->refunded_at));

	if (report->known == NULL)
		add_input(&list, purchase_input(report), t->purchased_at);
	if (report->is_newest)
	{
		if (report->known == NULL)
			add_new_renewal(&list);
		else
			add_changes(&list);
		add_billing(&list);
		if (HAS_TIME(t->paused_at) && !had_pause)
			add_input(&list, INPUT_PAUSE, switched_at(report));
		else if (!HAS_TIME(t->paused_at) && had_pause)
			add_input(&list, INPUT_UNPAUSE, switched_at(report));
	}
	if (is_refunded)
		add_input(&list, report->is_newest ? INPUT_REFUND : INPUT_LATE_REFUND, t->refunded_at);
	return list.n;
}
