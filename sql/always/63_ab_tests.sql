-- A/B tests: drafts, their life, who is in which variation. A test is named by its name, which means
-- the newest revision, or by its ab_test_id.

-- ---- Life cycle ----
CREATE OR REPLACE FUNCTION adapty.define_ab_test(
        name text,
        placements text[],
        variations jsonb,
        segment text DEFAULT NULL,
        goal text DEFAULT NULL)
    RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_define_ab_test';
COMMENT ON FUNCTION adapty.define_ab_test(text, text[], jsonb, text, text) IS
    'Creates the draft of an A/B test, or rewrites it, and returns its ab_test_id. One placement makes a regular test, several a cross-placement test. variations: an array of 2 to 20 {name, weight, paywall}, or {name, weight, paywalls: {placement: paywall}}; weights are percentages and add up to 100. segment: its audience, null for all users.';
REVOKE ALL ON FUNCTION adapty.define_ab_test(text, text[], jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.define_ab_test(text, text[], jsonb, text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.start_ab_test(ab_test text)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_start_ab_test';
COMMENT ON FUNCTION adapty.start_ab_test(text) IS
    'Starts a draft. A regular test becomes the content of its audience at its placement; a cross-placement test comes before all audiences, for new users.';
REVOKE ALL ON FUNCTION adapty.start_ab_test(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.start_ab_test(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.stop_ab_test(ab_test text, winner text DEFAULT NULL, paywall text DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_stop_ab_test';
COMMENT ON FUNCTION adapty.stop_ab_test(text, text, text) IS
    'Stops a running test for good. Its audience then sees the winning variation, or the paywall, or without either what the next audience sees.';
REVOKE ALL ON FUNCTION adapty.stop_ab_test(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.stop_ab_test(text, text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.modify_ab_test(ab_test text, variations jsonb DEFAULT NULL, goal text DEFAULT NULL)
    RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_modify_ab_test';
COMMENT ON FUNCTION adapty.modify_ab_test(text, jsonb, text) IS
    'Stops a running test and starts its changed copy, the next revision, in its place, and returns that one''s ab_test_id. Users of a regular test keep the variation of the same name.';
REVOKE ALL ON FUNCTION adapty.modify_ab_test(text, jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.modify_ab_test(text, jsonb, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.archive_ab_test(ab_test text)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_archive_ab_test';
COMMENT ON FUNCTION adapty.archive_ab_test(text) IS
    'Puts a completed test away: it lets go of its segment. Its results stay.';
REVOKE ALL ON FUNCTION adapty.archive_ab_test(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.archive_ab_test(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.delete_ab_test(ab_test text)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_delete_ab_test';
COMMENT ON FUNCTION adapty.delete_ab_test(text) IS
    'Deletes a draft. What was started is kept: purchases name its variations.';
REVOKE ALL ON FUNCTION adapty.delete_ab_test(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.delete_ab_test(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.show_ab_test(ab_test text)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_show_ab_test';
COMMENT ON FUNCTION adapty.show_ab_test(text) IS
    'A test with its variations and what they show.';
REVOKE ALL ON FUNCTION adapty.show_ab_test(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.show_ab_test(text) TO adapty_server, adapty_analyst;

-- ---- Assignment ----
CREATE OR REPLACE FUNCTION adapty.ab_test_bucket(ab_test_id uuid, profile_id uuid)
    RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_ab_test_bucket';
COMMENT ON FUNCTION adapty.ab_test_bucket(uuid, uuid) IS
    'The bucket of a user in a test, 0 to 9999: a hash of both ids, the same everywhere for ever. The variations have as many buckets in a row as hundredths of a percent of weight.';
REVOKE ALL ON FUNCTION adapty.ab_test_bucket(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ab_test_bucket(uuid, uuid) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.assign_variation(customer_user_id text, ab_test text)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_assign_variation';
COMMENT ON FUNCTION adapty.assign_variation(text, text) IS
    'The name of a user''s variation in a test, recorded from now on if the test is regular, runs, and the user is in its audience. Null for a user who is not in the test.';
REVOKE ALL ON FUNCTION adapty.assign_variation(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.assign_variation(text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.assign_variation(profile_id uuid, ab_test text)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_assign_variation_by_profile_id';
COMMENT ON FUNCTION adapty.assign_variation(uuid, text) IS
    'The name of a user''s variation in a test, recorded from now on if the test is regular, runs, and the user is in its audience. Null for a user who is not in the test.';
REVOKE ALL ON FUNCTION adapty.assign_variation(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.assign_variation(uuid, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.assign_variations(ab_test text, profile_ids uuid[])
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_assign_variations';
COMMENT ON FUNCTION adapty.assign_variations(text, uuid[]) IS
    'Records the variations of many users in a running regular test, as assign_variation() does, in one statement. Returns how many are new to it.';
REVOKE ALL ON FUNCTION adapty.assign_variations(text, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.assign_variations(text, uuid[]) TO adapty_server;

-- ---- Results ----
CREATE OR REPLACE FUNCTION adapty.ab_test_results(
        ab_test text,
        placement_id text DEFAULT NULL,
        environment adapty.environment DEFAULT 'Production')
    RETURNS SETOF adapty.ab_test_result
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 4
    AS 'MODULE_PATHNAME', 'adapty_ab_test_results';
COMMENT ON FUNCTION adapty.ab_test_results(text, text, adapty.environment) IS
    'What each variation of a test has brought, at all of its placements or one, and the probability to be best. A warning if its users are not split by the weights.';
REVOKE ALL ON FUNCTION adapty.ab_test_results(text, text, adapty.environment) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ab_test_results(text, text, adapty.environment) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.ab_probability_best(conversions double precision[], users double precision[])
    RETURNS double precision[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_ab_probability_best';
COMMENT ON FUNCTION adapty.ab_probability_best(double precision[], double precision[]) IS
    'Of each of 1 to 20 variations, the probability that its conversion rate is the greatest, from uniform priors, by numerical integration.';
REVOKE ALL ON FUNCTION adapty.ab_probability_best(double precision[], double precision[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ab_probability_best(double precision[], double precision[]) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.ab_credible_interval(
        conversions double precision,
        users double precision,
        credibility double precision DEFAULT 0.95)
    RETURNS double precision[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_ab_credible_interval';
COMMENT ON FUNCTION adapty.ab_credible_interval(double precision, double precision, double precision) IS
    'The interval, {low, high}, in which a conversion rate lies with this probability, from a uniform prior.';
REVOKE ALL ON FUNCTION adapty.ab_credible_interval(double precision, double precision, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ab_credible_interval(double precision, double precision, double precision) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.ab_sample_ratio_p(observed double precision[], weights double precision[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_ab_sample_ratio_p';
COMMENT ON FUNCTION adapty.ab_sample_ratio_p(double precision[], double precision[]) IS
    'The probability that chance splits users at least as far from the weights as these counts are: Pearson''s chi-square test. Null without counts.';
REVOKE ALL ON FUNCTION adapty.ab_sample_ratio_p(double precision[], double precision[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.ab_sample_ratio_p(double precision[], double precision[]) TO adapty_server, adapty_analyst;

-- ---- Who may read ----
GRANT SELECT ON adapty.ab_tests, adapty.ab_test_variations, adapty.ab_test_assignments TO adapty_server, adapty_analyst;
