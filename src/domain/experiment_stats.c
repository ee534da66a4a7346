/*
 * experiment_stats.c
 *		The arithmetic of A/B tests' results: pure functions of counts and sums.
 *
 * Conversion.  A conversion rate after k of n users has the posterior Beta(1 + k, 1 + n - k), from a
 * uniform prior.  That a variation has the greatest rate is the integral of its density times the
 * others' distribution functions, done by Gauss-Legendre quadrature.
 *
 * Revenue per user is zero for most users and skewed for the others: zero-inflated log-normal.  The
 * share of payers has the posterior above.  The logarithm of a payer's revenue is normal with
 * unknown mean and variance, whose posterior is normal-inverse-gamma from a weak prior: one
 * observation at the pooled mean of all variations for the mean, and six (shape 3) around the pooled
 * variance for the variance.  Revenue per user is share * exp(mean + variance / 2).  It has no closed
 * form, so DRAWS values are drawn from each posterior by a generator of our own with a fixed seed:
 * the same data give the same result, in every session and version.  The error of a probability is
 * below half a percentage point.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "domain/experiment_stats.h"

#define DRAWS 20000				/* from each posterior */
#define SEED UINT64CONST(0x0adab7e57)
#define PRIOR_SHAPE 3.0			/* of the variance */
#define MIN_VARIANCE 1e-4		/* of a logarithm of revenue: one price is never quite certain */
#define MAX_EXPONENT 700.0		/* beyond which exp() overflows */
#define TINY 1e-300
#define MAX_STEPS 10000			/* of a continued fraction or series: never reached */
#define PRECISION 1e-15

/* ---- special functions ---- */

/* The continued fraction of the incomplete beta function, by Lentz's method. */
static double
beta_fraction(double x, double a, double b)
{
	double		c = 1;
	double		d = 1 - (a + b) * x / (a + 1);
	double		f;

	d = 1 / (fabs(d) < TINY ? TINY : d);
	f = d;
	for (int m = 1; m < MAX_STEPS; m++)
	{
		double		change;

		for (int odd = 0; odd < 2; odd++)
		{
			double		numerator = odd == 0 ?
				m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) :
				-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));

			d = 1 + numerator * d;
			d = 1 / (fabs(d) < TINY ? TINY : d);
			c = 1 + numerator / c;
			c = fabs(c) < TINY ? TINY : c;
			change = c * d;
			f *= change;
		}
		if (fabs(change - 1) < PRECISION)
			break;
	}
	return f;
}

/* Logarithm of the density of Beta(a, b) without its constant, plus the constant. */
static double
beta_log_density(double x, double a, double b, double constant)
{
	return constant + (a == 1 ? 0 : (a - 1) * log(x)) + (b == 1 ? 0 : (b - 1) * log1p(-x));
}

/* The constant: - log B(a, b). */
static double
beta_constant(double a, double b)
{
	return lgamma(a + b) - lgamma(a) - lgamma(b);
}

/* See experiment_stats.h. */
double
stats_beta_cdf(double x, double a, double b)
{
	double		front;

	if (x <= 0)
		return 0;
	if (x >= 1)
		return 1;
	front = exp(beta_constant(a, b) + a * log(x) + b * log1p(-x));
	/* The fraction converges fast on this side of the mean. */
	return x < (a + 1) / (a + b + 2) ? front * beta_fraction(x, a, b) / a :
		1 - front * beta_fraction(1 - x, b, a) / b;
}

/* See experiment_stats.h.  By bisection: the distribution function is smooth and increasing. */
double
stats_beta_quantile(double p, double a, double b)
{
	double		low = 0;
	double		high = 1;

	for (int i = 0; i < 100 && high - low > PRECISION * high; i++)
	{
		double		middle = (low + high) / 2;

		if (stats_beta_cdf(middle, a, b) < p)
			low = middle;
		else
			high = middle;
	}
	return (low + high) / 2;
}

/* The series of the lower incomplete gamma function, regularised; for x below a + 1. */
static double
gamma_lower(double a, double x)
{
	double		term = 1 / a;
	double		sum = term;

	for (int n = 1; n < MAX_STEPS && term > sum * PRECISION; n++)
	{
		term *= x / (a + n);
		sum += term;
	}
	return sum * exp(a * log(x) - x - lgamma(a));
}

/* The continued fraction of the upper incomplete gamma function, regularised; for x from a + 1 on. */
static double
gamma_upper(double a, double x)
{
	double		b = x + 1 - a;
	double		c = 1 / TINY;
	double		d = 1 / b;
	double		f = d;

	for (int n = 1; n < MAX_STEPS; n++)
	{
		double		numerator = n * (a - n);
		double		change;

		b += 2;
		d = numerator * d + b;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = b + numerator / c;
		c = fabs(c) < TINY ? TINY : c;
		change = c * d;
		f *= change;
		if (fabs(change - 1) < PRECISION)
			break;
	}
	return f * exp(a * log(x) - x - lgamma(a));
}

/* See experiment_stats.h. */
double
stats_chi_square_p(double statistic, double degrees)
{
	double		a = degrees / 2;
	double		x = statistic / 2;

	if (x <= 0)
		return 1;
	return x < a + 1 ? 1 - gamma_lower(a, x) : gamma_upper(a, x);
}

/* See experiment_stats.h. */
double
stats_sample_ratio_p(int n, const double *observed, const double *weights)
{
	double		total = 0;
	double		weight = 0;
	double		statistic = 0;

	for (int i = 0; i < n; i++)
	{
		total += observed[i];
		weight += weights[i];
	}
	if (n < 2 || total <= 0 || weight <= 0)
		return NAN;
	for (int i = 0; i < n; i++)
	{
		double		expected = total * weights[i] / weight;

		statistic += (observed[i] - expected) * (observed[i] - expected) / expected;
	}
	return stats_chi_square_p(statistic, n - 1);
}

/* ---- conversion: who is best ---- */

/* Where the distributions bend: panels of the quadrature begin and end there. */
static const double break_probabilities[] = {1e-12, 1e-7, 1e-4, 0.003, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9,
	0.98, 0.997, 1 - 1e-4, 1 - 1e-7, 1 - 1e-12};

/* Nodes and weights of Gauss-Legendre quadrature with 8 points on [-1, 1]. */
static const double nodes[] = {0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363};
static const double node_weights[] = {0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763};

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

/* Adds weight times the integrands at x: of each variation its density times the others' functions. */
static void
add_point(double x, double weight, int n, const double *a, const double *b, const double *constants,
		  double *functions, double *sums)
{
	for (int i = 0; i < n; i++)
		functions[i] = stats_beta_cdf(x, a[i], b[i]);
	for (int i = 0; i < n; i++)
	{
		double		value = weight * exp(beta_log_density(x, a[i], b[i], constants[i]));

		for (int j = 0; j < n && value > 0; j++)
			if (j != i)
				value *= functions[j];
		sums[i] += value;
	}
}

/* See experiment_stats.h. */
void
stats_beta_best(int n, const double *a, const double *b, double *probability)
{
	int			n_breaks = n * lengthof(break_probabilities);
	double	   *breaks = palloc(sizeof(double) * n_breaks);
	double	   *constants = palloc(sizeof(double) * n);
	double	   *functions = palloc(sizeof(double) * n);
	double		total = 0;

	for (int i = 0; i < n; i++)
	{
		constants[i] = beta_constant(a[i], b[i]);
		for (int k = 0; k < (int) lengthof(break_probabilities); k++)
			breaks[i * lengthof(break_probabilities) + k] = stats_beta_quantile(break_probabilities[k], a[i], b[i]);
		probability[i] = 0;
	}
	qsort(breaks, n_breaks, sizeof(double), compare_doubles);
	for (int panel = 0; panel + 1 < n_breaks; panel++)
	{
		double		half = (breaks[panel + 1] - breaks[panel]) / 2;
		double		middle = (breaks[panel + 1] + breaks[panel]) / 2;

		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < (int) lengthof(nodes) && half > 0; k++)
			for (int side = -1; side <= 1; side += 2)
				add_point(middle + side * half * nodes[k], half * node_weights[k], n, a, b, constants,
						  functions, probability);
	}
	for (int i = 0; i < n; i++)
		total += probability[i];
	for (int i = 0; i < n; i++)
		probability[i] /= total;
	pfree(breaks);
	pfree(constants);
	pfree(functions);
}

/* ---- random numbers: splitmix64, so that they are the same everywhere ---- */

static double
draw_uniform(uint64 *state)
{
	uint64		z = (*state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	z ^= z >> 31;
	/* Neither 0 nor 1. */
	return ((double) (z >> 11) + 0.5) / 9007199254740992.0;
}

/* Standard normal, by Marsaglia's polar method; the second value is not kept. */
static double
draw_normal(uint64 *state)
{
	for (;;)
	{
		double		u = 2 * draw_uniform(state) - 1;
		double		v = 2 * draw_uniform(state) - 1;
		double		s = u * u + v * v;

		if (s > 0 && s < 1)
			return u * sqrt(-2 * log(s) / s);
	}
}

/* Gamma of a shape of at least 1 and scale 1, by the method of Marsaglia and Tsang. */
static double
draw_gamma(uint64 *state, double shape)
{
	double		d = shape - 1.0 / 3;
	double		c = 1 / sqrt(9 * d);

	for (;;)
	{
		double		x = draw_normal(state);
		double		v = 1 + c * x;

		if (v <= 0)
			continue;
		v = v * v * v;
		if (log(draw_uniform(state)) < x * x / 2 + d - d * v + d * log(v))
			return d * v;
	}
}

/* ---- revenue per user ---- */

/* The posterior of one variation. */
typedef struct RevenuePosterior
{
	double		a;				/* share of payers: Beta(a, b) */
	double		b;
	double		mean;			/* of the mean of logarithms */
	double		observations;	/* that it counts for */
	double		shape;			/* of the variance: inverse gamma */
	double		scale;
} RevenuePosterior;

/* Mean and variance of the logarithms of all payers' revenue. */
static void
pooled_logs(int n, const RevenueCounts *counts, double *mean, double *variance)
{
	double		payers = 0;
	double		sum = 0;
	double		squares = 0;

	for (int i = 0; i < n; i++)
	{
		payers += counts[i].payers;
		sum += counts[i].sum_log;
		squares += counts[i].sum_log_squared;
	}
	*mean = payers > 0 ? sum / payers : 0;
	*variance = payers > 1 ? (squares - sum * *mean) / (payers - 1) : 0;
	*variance = Max(*variance, MIN_VARIANCE);
}

static RevenuePosterior
revenue_posterior(const RevenueCounts *counts, double prior_mean, double prior_variance)
{
	RevenuePosterior posterior;
	double		k = counts->payers;
	double		mean = k > 0 ? counts->sum_log / k : 0;
	double		squares = k > 0 ? Max(counts->sum_log_squared - counts->sum_log * mean, 0) : 0;

	posterior.a = 1 + k;
	posterior.b = 1 + Max(counts->users - k, 0);
	posterior.observations = 1 + k;
	posterior.mean = (prior_mean + counts->sum_log) / posterior.observations;
	posterior.shape = PRIOR_SHAPE + k / 2;
	posterior.scale = (PRIOR_SHAPE - 1) * prior_variance + squares / 2 +
		k * (mean - prior_mean) * (mean - prior_mean) / (2 * posterior.observations);
	return posterior;
}

/* One value of revenue per user. */
static double
draw_revenue(uint64 *state, const RevenuePosterior *posterior)
{
	double		payers = draw_gamma(state, posterior->a);
	double		others = draw_gamma(state, posterior->b);
	double		variance = posterior->scale / draw_gamma(state, posterior->shape);
	double		mean = posterior->mean + draw_normal(state) * sqrt(variance / posterior->observations);

	return payers / (payers + others) * exp(Min(mean + variance / 2, MAX_EXPONENT));
}

/* See experiment_stats.h. */
void
stats_revenue(int n, const RevenueCounts *counts, RevenueEstimate *estimates)
{
	double	   *draws = palloc(sizeof(double) * n * DRAWS);
	double		mean;
	double		variance;

	pooled_logs(n, counts, &mean, &variance);
	for (int i = 0; i < n; i++)
	{
		RevenuePosterior posterior = revenue_posterior(&counts[i], mean, variance);
		uint64		state = SEED + (uint64) i * UINT64CONST(0x632be59bd9b4e019);

		CHECK_FOR_INTERRUPTS();
		for (int d = 0; d < DRAWS; d++)
			draws[i * DRAWS + d] = draw_revenue(&state, &posterior);
		estimates[i].probability_best = 0;
	}
	for (int d = 0; d < DRAWS; d++)
	{
		int			best = 0;

		for (int i = 1; i < n; i++)
			if (draws[i * DRAWS + d] > draws[best * DRAWS + d])
				best = i;
		estimates[best].probability_best += 1.0 / DRAWS;
	}
	for (int i = 0; i < n; i++)
	{
		qsort(draws + i * DRAWS, DRAWS, sizeof(double), compare_doubles);
		estimates[i].low = draws[i * DRAWS + DRAWS / 40];
		estimates[i].high = draws[i * DRAWS + DRAWS - 1 - DRAWS / 40];
	}
	pfree(draws);
}
