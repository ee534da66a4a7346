-- The hash over a million users: the split is right, tests are independent, neighbours are not
-- correlated. Ids are fixed, so the result is; p-values are of chi-square tests, and none is below 1 %.
CREATE TEMP TABLE buckets AS SELECT i, adapty.ab_test_bucket('11111111-1111-4111-8111-111111111111', md5(i::text)::uuid) AS one,
    adapty.ab_test_bucket('11111111-1111-4111-8111-111111111112', md5(i::text)::uuid) AS two,
    adapty.ab_test_bucket('11111111-1111-4111-8111-111111111111', ('0190e8a41c2b70008000' || lpad(to_hex(i), 12, '0'))::uuid) AS serial
    FROM generate_series(1, 1000000) i;
-- all buckets are there, evenly; of random ids, and of ids one after the other
SELECT count(*), min(one), max(one), adapty.ab_sample_ratio_p(array_agg(n), array_agg(1.0)) > 0.01 AS even FROM (SELECT one, count(*)::float8 AS n FROM buckets GROUP BY one) b;
SELECT count(*), min(serial), max(serial), adapty.ab_sample_ratio_p(array_agg(n), array_agg(1.0)) > 0.01 AS even FROM (SELECT serial, count(*)::float8 AS n FROM buckets GROUP BY serial) b;
-- a test of 70, 20, 9.5 and 0.5 percent
SELECT adapty.ab_sample_ratio_p(array_agg(n ORDER BY variation), '{70,20,9.5,0.5}') > 0.01 AS right
    FROM (SELECT width_bucket(one, '{0,7000,9000,9950}'::int[]) AS variation, count(*)::float8 AS n FROM buckets GROUP BY 1) v;
-- two tests whose ids differ in one bit: the table of both is the product of its margins
SELECT count(*), adapty.ab_sample_ratio_p(array_agg(n), array_agg(1.0)) > 0.01 AS independent
    FROM (SELECT one / 100, two / 100, count(*)::float8 AS n FROM buckets GROUP BY 1, 2) t;
-- neighbours, and users at a distance of a power of two
CREATE TEMP TABLE neighbours AS SELECT serial, lead(serial, 1) OVER w AS next, lead(serial, 256) OVER w AS far, lead(serial, 65536) OVER w AS very_far
    FROM buckets WINDOW w AS (ORDER BY i);
SELECT count(*), adapty.ab_sample_ratio_p(array_agg(n), array_agg(1.0)) > 0.01 AS independent
    FROM (SELECT serial / 1000, next / 1000, count(*)::float8 AS n FROM neighbours WHERE next IS NOT NULL GROUP BY 1, 2) t;
SELECT abs(corr(serial, next)) < 0.003 AS next, abs(corr(serial, far)) < 0.003 AS far, abs(corr(serial, very_far)) < 0.003 AS very_far FROM neighbours;
