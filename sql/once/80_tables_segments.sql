-- Segments: who is meant.  Each has a view of its members, made by a trigger (always/60_segments.sql).
CREATE SCHEMA adapty_segments;
COMMENT ON SCHEMA adapty_segments IS 'One view a segment of adapty.segments: its members, now. Made and changed by adapty''s functions.';

CREATE TYPE adapty.segment_filter;
CREATE FUNCTION adapty._segment_filter_in(cstring) RETURNS adapty.segment_filter
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'adapty_segment_filter_in';
CREATE FUNCTION adapty._segment_filter_out(adapty.segment_filter) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'adapty_segment_filter_out';
CREATE FUNCTION adapty._segment_filter_recv(internal) RETURNS adapty.segment_filter
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'adapty_segment_filter_recv';
CREATE FUNCTION adapty._segment_filter_send(adapty.segment_filter) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'adapty_segment_filter_send';
CREATE TYPE adapty.segment_filter (
    INPUT = adapty._segment_filter_in,
    OUTPUT = adapty._segment_filter_out,
    RECEIVE = adapty._segment_filter_recv,
    SEND = adapty._segment_filter_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);
COMMENT ON TYPE adapty.segment_filter IS
    'Who is in a segment, for example: country = ''US'' and last_seen before 30 days ago and not access(''premium''). Kept in its canonical form; see docs/segments.md.';

CREATE FUNCTION adapty._segment_filter_eq(adapty.segment_filter, adapty.segment_filter) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'adapty_segment_filter_eq';
CREATE FUNCTION adapty._segment_filter_ne(adapty.segment_filter, adapty.segment_filter) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'adapty_segment_filter_ne';
CREATE FUNCTION adapty._segment_filter_hash(adapty.segment_filter) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'adapty_segment_filter_hash';
CREATE FUNCTION adapty._segment_filter_hash_extended(adapty.segment_filter, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'adapty_segment_filter_hash_extended';
CREATE OPERATOR adapty.= (
    LEFTARG = adapty.segment_filter, RIGHTARG = adapty.segment_filter, FUNCTION = adapty._segment_filter_eq,
    COMMUTATOR = OPERATOR(adapty.=), NEGATOR = OPERATOR(adapty.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES);
CREATE OPERATOR adapty.<> (
    LEFTARG = adapty.segment_filter, RIGHTARG = adapty.segment_filter, FUNCTION = adapty._segment_filter_ne,
    COMMUTATOR = OPERATOR(adapty.<>), NEGATOR = OPERATOR(adapty.=), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR CLASS adapty.segment_filter_ops DEFAULT FOR TYPE adapty.segment_filter USING hash AS
    OPERATOR 1 adapty.=,
    FUNCTION 1 adapty._segment_filter_hash(adapty.segment_filter),
    FUNCTION 2 adapty._segment_filter_hash_extended(adapty.segment_filter, bigint);

CREATE FUNCTION adapty.segment_filter(filter jsonb) RETURNS adapty.segment_filter
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'adapty_segment_filter_from_jsonb';
CREATE FUNCTION adapty.segment_filter_json(filter adapty.segment_filter) RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'adapty_segment_filter_to_jsonb';
CREATE CAST (jsonb AS adapty.segment_filter) WITH FUNCTION adapty.segment_filter(jsonb);
CREATE CAST (adapty.segment_filter AS jsonb) WITH FUNCTION adapty.segment_filter_json(adapty.segment_filter);

CREATE TABLE adapty.segments (
    segment_id    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name          text NOT NULL CONSTRAINT segments_name_key UNIQUE
                  CONSTRAINT segments_name_check CHECK (octet_length(name) BETWEEN 1 AND 63 AND name !~ '[[:cntrl:]]'),
    filter        adapty.segment_filter NOT NULL,
    description   text CONSTRAINT segments_description_check CHECK (length(description) <= 1000),
    is_predefined boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE adapty.segments IS 'Segments of users: a name and a filter. The members are the view adapty_segments."name". Changed by create_segment() and its kin.';
COMMENT ON COLUMN adapty.segments.segment_id IS 'What audiences, tests and campaigns refer to: it stays when the segment is renamed.';
COMMENT ON COLUMN adapty.segments.name IS 'Name of the segment and of its view: 1 to 63 bytes.';
COMMENT ON COLUMN adapty.segments.is_predefined IS 'Comes with the extension, and cannot be changed or dropped.';

-- Definitions of custom attributes: optional, and enforced when there is one.
CREATE TYPE adapty.attribute_type AS ENUM ('string', 'number');
COMMENT ON TYPE adapty.attribute_type IS 'Type of a custom attribute''s values.';
CREATE TABLE adapty.attribute_definitions (
    key            text PRIMARY KEY CONSTRAINT attribute_definitions_key_check CHECK (key ~ '^[A-Za-z0-9_.-]{1,30}$'),
    value_type     adapty.attribute_type NOT NULL,
    label          text NOT NULL CONSTRAINT attribute_definitions_label_check CHECK (length(label) BETWEEN 1 AND 255),
    allowed_values jsonb CONSTRAINT attribute_definitions_allowed_values_check CHECK (jsonb_typeof(allowed_values) = 'array'),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE adapty.attribute_definitions IS 'What custom attributes may be. One without a definition may be anything.';
COMMENT ON COLUMN adapty.attribute_definitions.label IS 'Name for people.';
COMMENT ON COLUMN adapty.attribute_definitions.allowed_values IS 'An array of the values that may be set; null for every value of the type.';

-- The usual segments: new users, and those who pay or have paid.  Few rows change in either column.
CREATE INDEX profiles_created_at_idx ON adapty.profiles (created_at);
CREATE INDEX profiles_subscription_state_idx ON adapty.profiles (subscription_state) WHERE subscription_state <> 'never_subscribed';

SELECT pg_catalog.pg_extension_config_dump('adapty.segments', 'WHERE NOT is_predefined');
SELECT pg_catalog.pg_extension_config_dump('adapty.attribute_definitions', '');
