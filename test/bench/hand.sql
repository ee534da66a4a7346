-- The extension, and what somebody would write by hand instead: the same indexes and foreign keys,
-- one PL/pgSQL function that upserts a row and inserts a small event.
CREATE EXTENSION adapty;
CREATE SCHEMA hand;
CREATE TABLE hand.access_levels (access_level_id text PRIMARY KEY);
INSERT INTO hand.access_levels VALUES ('premium');
CREATE TABLE hand.profiles (profile_id uuid PRIMARY KEY);
CREATE TABLE hand.identities (
    customer_user_id text PRIMARY KEY,
    profile_id       uuid NOT NULL UNIQUE REFERENCES hand.profiles ON DELETE CASCADE);
CREATE TABLE hand.grants (
    profile_id         uuid NOT NULL REFERENCES hand.profiles ON DELETE CASCADE,
    starts_at          timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    next_transition_at timestamptz,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    access_level_id    text NOT NULL REFERENCES hand.access_levels,
    source             text NOT NULL DEFAULT 'server_grant',
    source_id          text NOT NULL DEFAULT '',
    actor              text,
    PRIMARY KEY (profile_id, access_level_id, source, source_id)
) WITH (fillfactor = 90);
CREATE INDEX grants_due_idx ON hand.grants (next_transition_at) WHERE next_transition_at IS NOT NULL;
CREATE TABLE hand.events (
    event_datetime  timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at      timestamptz,
    event_id        uuid NOT NULL DEFAULT gen_random_uuid(),
    profile_id      uuid NOT NULL,
    event_type      text NOT NULL,
    access_level_id text,
    is_active       boolean,
    actor           text,
    PRIMARY KEY (profile_id, recorded_at, event_id)
);

CREATE FUNCTION hand.grant_access_level(a_user text, a_level text, a_duration interval)
    RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    a_profile_id uuid;
    new_end      timestamptz;
BEGIN
    SELECT i.profile_id INTO a_profile_id FROM hand.identities i WHERE i.customer_user_id = a_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no user "%"', a_user;
    END IF;
    INSERT INTO hand.grants AS g (profile_id, access_level_id, starts_at, expires_at, next_transition_at, actor)
        VALUES (a_profile_id, a_level, now(), now() + a_duration, now() + a_duration, current_user)
        ON CONFLICT (profile_id, access_level_id, source, source_id) DO UPDATE
            SET expires_at = greatest(g.expires_at, now()) + a_duration,
                next_transition_at = greatest(g.expires_at, now()) + a_duration,
                updated_at = now(),
                actor = current_user
        RETURNING g.expires_at INTO new_end;
    INSERT INTO hand.events (event_datetime, expires_at, profile_id, event_type, access_level_id, is_active, actor)
        VALUES (now(), new_end, a_profile_id, 'access_level_updated', a_level, true, current_user);
    RETURN new_end;
END $$;
