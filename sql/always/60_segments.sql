-- Segments: the filter's type, what their views call, and the functions on them.

-- ---- The type segment_filter ----
REVOKE ALL ON TYPE adapty.segment_filter FROM PUBLIC;
GRANT USAGE ON TYPE adapty.segment_filter TO adapty_server, adapty_analyst;
REVOKE ALL ON FUNCTION adapty._segment_filter_in(cstring), adapty._segment_filter_out(adapty.segment_filter),
    adapty._segment_filter_recv(internal), adapty._segment_filter_send(adapty.segment_filter),
    adapty._segment_filter_eq(adapty.segment_filter, adapty.segment_filter),
    adapty._segment_filter_ne(adapty.segment_filter, adapty.segment_filter),
    adapty._segment_filter_hash(adapty.segment_filter),
    adapty._segment_filter_hash_extended(adapty.segment_filter, bigint),
    adapty.segment_filter(jsonb), adapty.segment_filter_json(adapty.segment_filter) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty._segment_filter_eq(adapty.segment_filter, adapty.segment_filter),
    adapty._segment_filter_ne(adapty.segment_filter, adapty.segment_filter),
    adapty._segment_filter_hash(adapty.segment_filter),
    adapty._segment_filter_hash_extended(adapty.segment_filter, bigint),
    adapty.segment_filter(jsonb), adapty.segment_filter_json(adapty.segment_filter) TO adapty_server, adapty_analyst;
COMMENT ON FUNCTION adapty.segment_filter(jsonb) IS
    'A filter from its JSON form, for programs; also as a cast. A JSON string is read as the language.';
COMMENT ON FUNCTION adapty.segment_filter_json(adapty.segment_filter) IS
    'A filter''s JSON form, for programs; also as a cast.';

-- ---- What views of segments call, with the rights of whoever reads them ----

CREATE OR REPLACE FUNCTION adapty.semver_key(version text) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_semver_key';
COMMENT ON FUNCTION adapty.semver_key(text) IS
    'Bytes that sort as SemVer 2.0.0 orders versions; null for what is no version. To compare versions, and to index them.';
REVOKE ALL ON FUNCTION adapty.semver_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.semver_key(text) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.language_code(locale text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_language_code';
COMMENT ON FUNCTION adapty.language_code(text) IS
    'The two-letter language of a locale such as pt-BR; null if it has none.';
REVOKE ALL ON FUNCTION adapty.language_code(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.language_code(text) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.attribute_text(attributes jsonb, key text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_attribute_text';
COMMENT ON FUNCTION adapty.attribute_text(jsonb, text) IS
    'A custom attribute that is a text; null if it is not set or a number. To compare in segments, and to index.';
REVOKE ALL ON FUNCTION adapty.attribute_text(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.attribute_text(jsonb, text) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.attribute_number(attributes jsonb, key text) RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_attribute_number';
COMMENT ON FUNCTION adapty.attribute_number(jsonb, text) IS
    'A custom attribute that is a number; null if it is not set or a text. To compare in segments, and to index.';
REVOKE ALL ON FUNCTION adapty.attribute_number(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.attribute_number(jsonb, text) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.time_from_now(span interval) RETURNS timestamptz
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_time_from_now';
COMMENT ON FUNCTION adapty.time_from_now(interval) IS
    'adapty.now() and a span, which may be negative, by the calendar in UTC whatever the session''s TimeZone.';
REVOKE ALL ON FUNCTION adapty.time_from_now(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.time_from_now(interval) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.date_from_now(span interval) RETURNS date
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_date_from_now';
COMMENT ON FUNCTION adapty.date_from_now(interval) IS
    'The day, in UTC, of adapty.time_from_now().';
REVOKE ALL ON FUNCTION adapty.date_from_now(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.date_from_now(interval) TO adapty_server, adapty_analyst;

-- ---- Segments ----

CREATE OR REPLACE FUNCTION adapty.create_segment(name text, filter adapty.segment_filter, description text DEFAULT NULL) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_create_segment';
COMMENT ON FUNCTION adapty.create_segment(text, adapty.segment_filter, text) IS
    'Makes a segment and its view adapty_segments."name"; returns its segment_id. A name that exists is an error (23505).';
REVOKE ALL ON FUNCTION adapty.create_segment(text, adapty.segment_filter, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.create_segment(text, adapty.segment_filter, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.alter_segment(name text, filter adapty.segment_filter DEFAULT NULL, description text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_alter_segment';
COMMENT ON FUNCTION adapty.alter_segment(text, adapty.segment_filter, text) IS
    'Gives a segment another filter or description; null leaves it as it is. Its view is replaced in place.';
REVOKE ALL ON FUNCTION adapty.alter_segment(text, adapty.segment_filter, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.alter_segment(text, adapty.segment_filter, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.rename_segment(name text, new_name text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_rename_segment';
COMMENT ON FUNCTION adapty.rename_segment(text, text) IS
    'Gives a segment and its view another name. Whoever uses the segment goes on to.';
REVOKE ALL ON FUNCTION adapty.rename_segment(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.rename_segment(text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.drop_segment(name text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_drop_segment';
COMMENT ON FUNCTION adapty.drop_segment(text) IS
    'Drops a segment and its view. Refused while an audience, a test or a campaign uses it (23503), naming them.';
REVOKE ALL ON FUNCTION adapty.drop_segment(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.drop_segment(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.duplicate_segment(name text, new_name text DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_duplicate_segment';
COMMENT ON FUNCTION adapty.duplicate_segment(text, text) IS
    'Copies a segment''s filter and description and returns the copy''s name, "name (copy)" by default.';
REVOKE ALL ON FUNCTION adapty.duplicate_segment(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.duplicate_segment(text, text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.in_segment(customer_user_id text, name text, platform adapty.platform DEFAULT NULL) RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_in_segment';
COMMENT ON FUNCTION adapty.in_segment(text, text, adapty.platform) IS
    'Is a user in a segment now? With a platform only devices of that platform count. false for an unknown user, an error (PT404) for an unknown segment. For sets join the view adapty_segments."name".';
REVOKE ALL ON FUNCTION adapty.in_segment(text, text, adapty.platform) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.in_segment(text, text, adapty.platform) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.in_segment(profile_id uuid, name text, platform adapty.platform DEFAULT NULL) RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_in_segment_by_profile_id';
COMMENT ON FUNCTION adapty.in_segment(uuid, text, adapty.platform) IS
    'Is a user in a segment now? With a platform only devices of that platform count. false for an unknown user, an error (PT404) for an unknown segment. For sets join the view adapty_segments."name".';
REVOKE ALL ON FUNCTION adapty.in_segment(uuid, text, adapty.platform) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.in_segment(uuid, text, adapty.platform) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.segment_count(name text) RETURNS bigint
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_segment_count';
COMMENT ON FUNCTION adapty.segment_count(text) IS
    'How many profiles are in a segment now.';
REVOKE ALL ON FUNCTION adapty.segment_count(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.segment_count(text) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.segment_sample(name text, sample_size integer DEFAULT 40) RETURNS SETOF uuid
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'adapty_segment_sample';
COMMENT ON FUNCTION adapty.segment_sample(text, integer) IS
    'Members of a segment drawn at random: their profile_id.';
REVOKE ALL ON FUNCTION adapty.segment_sample(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.segment_sample(text, integer) TO adapty_server, adapty_analyst;

CREATE OR REPLACE FUNCTION adapty.segment_sql(filter adapty.segment_filter, platform adapty.platform DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'adapty_segment_sql';
COMMENT ON FUNCTION adapty.segment_sql(adapty.segment_filter, adapty.platform) IS
    'The SELECT that a segment with this filter is: for EXPLAIN, or to try a filter out.';
REVOKE ALL ON FUNCTION adapty.segment_sql(adapty.segment_filter, adapty.platform) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.segment_sql(adapty.segment_filter, adapty.platform) TO adapty_server, adapty_analyst;

-- ---- Definitions of custom attributes ----
CREATE OR REPLACE FUNCTION adapty.define_attribute(
        key text, value_type adapty.attribute_type, label text DEFAULT NULL, allowed_values jsonb DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_define_attribute';
COMMENT ON FUNCTION adapty.define_attribute(text, adapty.attribute_type, text, jsonb) IS
    'Makes or replaces the definition of a custom attribute: from now on only such values can be set. allowed_values is an array, null allows every value of the type; a null label keeps the one there is. Returns how many users have a value that is not allowed: theirs stays.';
REVOKE ALL ON FUNCTION adapty.define_attribute(text, adapty.attribute_type, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.define_attribute(text, adapty.attribute_type, text, jsonb) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty.undefine_attribute(key text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_undefine_attribute';
COMMENT ON FUNCTION adapty.undefine_attribute(text) IS
    'Takes the definition of a custom attribute away; true if there was one. Users'' values stay.';
REVOKE ALL ON FUNCTION adapty.undefine_attribute(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.undefine_attribute(text) TO adapty_server;

CREATE OR REPLACE FUNCTION adapty._attribute_fits(value jsonb, value_type adapty.attribute_type, allowed_values jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN pg_catalog.jsonb_typeof(value) OPERATOR(pg_catalog.=) value_type::text
        AND (allowed_values IS NULL OR allowed_values OPERATOR(pg_catalog.@>) value);
COMMENT ON FUNCTION adapty._attribute_fits(jsonb, adapty.attribute_type, jsonb) IS
    'May a custom attribute have this value by its definition? Private.';
REVOKE ALL ON FUNCTION adapty._attribute_fits(jsonb, adapty.attribute_type, jsonb) FROM PUBLIC;

CREATE OR REPLACE FUNCTION adapty.attribute_violations(key text) RETURNS TABLE (profile_id uuid, value jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT p.profile_id, p.custom_attributes -> d.key
      FROM adapty.attribute_definitions d
      JOIN adapty.profiles p ON p.custom_attributes ? d.key
     WHERE d.key = $1 AND NOT adapty._attribute_fits(p.custom_attributes -> d.key, d.value_type, d.allowed_values)
    $$;
COMMENT ON FUNCTION adapty.attribute_violations(text) IS
    'Users whose custom attribute its definition does not allow: set before the definition was made.';
REVOKE ALL ON FUNCTION adapty.attribute_violations(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adapty.attribute_violations(text) TO adapty_server;

GRANT SELECT ON adapty.attribute_definitions TO adapty_server, adapty_analyst;

-- ---- Rows and views in step ----
CREATE OR REPLACE FUNCTION adapty._segments_changed() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_segments_changed';
COMMENT ON FUNCTION adapty._segments_changed() IS 'Trigger: makes, replaces, renames and drops the views of segments. Private.';
REVOKE ALL ON FUNCTION adapty._segments_changed() FROM PUBLIC;
CREATE OR REPLACE FUNCTION adapty._refresh_segments() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'adapty_refresh_segments';
COMMENT ON FUNCTION adapty._refresh_segments() IS 'Writes the views of all segments again, as this version does; returns how many. Private.';
REVOKE ALL ON FUNCTION adapty._refresh_segments() FROM PUBLIC;

CREATE OR REPLACE TRIGGER adapty_segments_changed AFTER INSERT OR UPDATE OR DELETE ON adapty.segments
    FOR EACH ROW EXECUTE FUNCTION adapty._segments_changed();
CREATE OR REPLACE TRIGGER adapty_segments_truncated BEFORE TRUNCATE ON adapty.segments
    FOR EACH STATEMENT EXECUTE FUNCTION adapty._segments_changed();

GRANT USAGE ON SCHEMA adapty_segments TO adapty_server, adapty_analyst;
GRANT SELECT ON adapty.segments TO adapty_server, adapty_analyst;

-- Predefined segments: always the same segment_id, so that what refers to them survives a dump.
INSERT INTO adapty.segments (segment_id, name, filter, description, is_predefined, created_at, updated_at) VALUES
    ('00000000-0000-4000-8000-000000000001', 'Never subscribed', 'subscription_state = never_subscribed',
     'Users who never had a subscription or a trial.', true, '-infinity', '-infinity'),
    ('00000000-0000-4000-8000-000000000002', 'Subscription cancelled', 'subscription_state = subscription_cancelled',
     'Users whose subscription has ended.', true, '-infinity', '-infinity'),
    ('00000000-0000-4000-8000-000000000003', 'Trial cancelled', 'subscription_state = trial_cancelled',
     'Users who have cancelled their trial.', true, '-infinity', '-infinity')
    ON CONFLICT (segment_id) DO UPDATE SET name = excluded.name, filter = excluded.filter, description = excluded.description;
SELECT adapty._refresh_segments();
