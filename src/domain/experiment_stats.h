/*
 * experiment_stats.h
 *		The arithmetic of A/B tests' results: pure functions of counts and sums.
 */
#ifndef ADAPTY_EXPERIMENT_STATS_H
#define ADAPTY_EXPERIMENT_STATS_H

#include "postgres.h"

/* The counts of one variation. */
typedef struct RevenueCounts
{
	double		users;			/* who saw it */
	double		payers;			/* of them, whose revenue is above zero; at most users */
	double		sum_log;		/* over payers, of the logarithm of their revenue */
	double		sum_log_squared;
} RevenueCounts;

/* What is known of the revenue per user of one variation. */
typedef struct RevenueEstimate
{
	double		probability_best;
	double		low;			/* 95 % credible interval */
	double		high;
} RevenueEstimate;

/* P(X <= x) of X ~ Beta(a, b), a and b at least 1; and its inverse. */
extern double stats_beta_cdf(double x, double a, double b);
extern double stats_beta_quantile(double p, double a, double b);

/* P(X >= statistic) of a chi-square distribution. */
extern double stats_chi_square_p(double statistic, double degrees);

/*
 * For n independent X_i ~ Beta(a[i], b[i]): probability[i] that X_i is the greatest.  By numerical
 * integration; the probabilities add up to 1.
 */
extern void stats_beta_best(int n, const double *a, const double *b, double *probability);

/*
 * The p-value of observed counts under weights that need not add up to anything: chi-square with
 * n - 1 degrees of freedom.  NaN if there is nothing to say (no counts, or fewer than two weights).
 */
extern double stats_sample_ratio_p(int n, const double *observed, const double *weights);

/* Revenue per user of n variations, by the model in experiment_stats.c.  At least one has a payer. */
extern void stats_revenue(int n, const RevenueCounts *counts, RevenueEstimate *estimates);

#endif							/* ADAPTY_EXPERIMENT_STATS_H */
