-- One bare UPDATE ... RETURNING feeding one INSERT.
\timing on
WITH ended AS (
    UPDATE hand.lapsing SET state = 'ended', updated_at = now() WHERE next_transition_at <= now() RETURNING *)
INSERT INTO hand.lapse_events (event_datetime, starts_at, expires_at, previous_expires_at, event_type, source, event_id,
        profile_id, was_active, is_active, access_level_id, source_id)
    SELECT expires_at, starts_at, expires_at, expires_at, 'access_level_updated', source, gen_random_uuid(),
           profile_id, true, false, access_level_id, source_id
        FROM ended;
