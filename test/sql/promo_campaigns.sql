-- Promo campaigns: who is given what, once each. In one transaction, so that no scheduler sees them; process_due() does its work.
BEGIN;
SELECT count(adapty.create_profile('campaign-' || i, jsonb_build_object('custom_attributes', jsonb_build_object('campaign_score', i)))) FROM generate_series(1, 10) i;
SELECT adapty.create_segment('campaign high', 'attr.campaign_score >= 4') IS NOT NULL AS made;
CREATE FUNCTION pg_temp.work(n integer DEFAULT 1000) RETURNS void LANGUAGE sql AS $$ SELECT adapty.process_due(n) $$;
CREATE FUNCTION pg_temp.show(campaign text) RETURNS TABLE (state text, granted bigint, revoked bigint, next_look text, in_pass boolean) LANGUAGE sql AS $$
    SELECT c.state, c.granted, c.revoked, CASE WHEN next_look_at IS NULL THEN 'never' WHEN next_look_at <= clock_timestamp() THEN 'now'
        WHEN next_look_at < clock_timestamp() + interval '2 seconds' THEN 'soon' WHEN next_look_at < clock_timestamp() + interval '2 minutes' THEN 'after the interval' ELSE 'later' END,
        scan_position IS NOT NULL FROM adapty.promo_campaigns c WHERE name = campaign $$;
CREATE FUNCTION pg_temp.holders(campaign text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(replace(i.customer_user_id, 'campaign-', ''), ' ' ORDER BY length(i.customer_user_id), i.customer_user_id)
      FROM adapty.access_grants g JOIN adapty.identities i USING (profile_id) JOIN adapty.promo_campaigns c ON c.campaign_id::text = g.source_id
     WHERE g.source = 'promo_campaign' AND c.name = campaign AND g.starts_at <= now() AND now() < g.expires_at $$;
-- what is due of other tests is done first
SELECT pg_temp.work(1000000);

-- ---- a draft gives nothing; a dry run counts ----
SELECT adapty.create_promo_campaign('Spring', 'campaign high', 'premium', duration => '7 days') IS NOT NULL AS made;
SELECT * FROM adapty.preview_promo_campaign('Spring');
SELECT pg_temp.work();
SELECT * FROM pg_temp.show('Spring');
-- somebody has access already: the week is added
SELECT is_active FROM adapty.grant_access_level('campaign-5', 'premium', duration => '10 days');

-- ---- started: everybody in the segment, in batches ----
SELECT adapty.start_promo_campaign('Spring');
SELECT adapty.start_promo_campaign('Spring');
SELECT * FROM pg_temp.show('Spring');
SELECT pg_temp.work(3);
SELECT * FROM pg_temp.show('Spring');
SELECT pg_temp.work(3);
SELECT pg_temp.work(3);
SELECT * FROM pg_temp.show('Spring');
SELECT pg_temp.holders('Spring');
SELECT * FROM adapty.preview_promo_campaign('Spring');
SELECT source, round(extract(epoch FROM expires_at - now()) / 86400) AS days, reason FROM adapty.explain_access('campaign-5', 'premium') ORDER BY source;
SELECT count(*), count(DISTINCT profile_id), bool_and(is_active) FROM adapty.events WHERE source = 'promo_campaign';

-- ---- nobody twice, newcomers once ----
SELECT pg_temp.work();
SELECT granted FROM pg_temp.show('Spring');
SELECT adapty.set_attribute('campaign-1', 'campaign_score', 40);
SELECT adapty.set_attribute('campaign-9', 'campaign_score', 0);
UPDATE adapty.promo_campaigns SET next_look_at = now() WHERE name = 'Spring';
SELECT pg_temp.work();
SELECT * FROM pg_temp.show('Spring');
SELECT pg_temp.holders('Spring');
SELECT adapty.set_attribute('campaign-9', 'campaign_score', 9);
UPDATE adapty.promo_campaigns SET next_look_at = now() WHERE name = 'Spring';
SELECT pg_temp.work();
SELECT granted FROM pg_temp.show('Spring');

-- ---- pause and go on ----
SELECT adapty.pause_promo_campaign('Spring');
SELECT adapty.set_attribute('campaign-2', 'campaign_score', 40);
SELECT pg_temp.work();
SELECT * FROM pg_temp.show('Spring');
SELECT adapty.start_promo_campaign('Spring');
SELECT pg_temp.work();
SELECT * FROM pg_temp.show('Spring');

-- ---- take back what it gave, and nothing else ----
SELECT adapty.revoke_promo_campaign('Spring');
SELECT pg_temp.work(4);
SELECT * FROM pg_temp.show('Spring');
SELECT pg_temp.work(4);
SELECT pg_temp.work(4);
SELECT * FROM pg_temp.show('Spring');
SELECT pg_temp.holders('Spring');
SELECT i.customer_user_id FROM adapty.identities i WHERE customer_user_id LIKE 'campaign-%' AND adapty.has_access(customer_user_id, 'premium');
SELECT count(*) FILTER (WHERE is_active), count(*) FILTER (WHERE NOT is_active) FROM adapty.events WHERE source = 'promo_campaign';
SELECT adapty.revoke_promo_campaign('Spring');

-- ---- a cap is never exceeded ----
SELECT adapty.create_promo_campaign('First five', 'campaign high', 'premium', is_lifetime => true, max_grants => 5) IS NOT NULL AS made;
SELECT * FROM adapty.preview_promo_campaign('First five');
SELECT adapty.start_promo_campaign('First five');
SELECT pg_temp.work(2);
SELECT * FROM pg_temp.show('First five');
SELECT pg_temp.work(2);
SELECT pg_temp.work(2);
SELECT * FROM pg_temp.show('First five');
SELECT * FROM adapty.preview_promo_campaign('First five');
SELECT adapty.stop_promo_campaign('First five');
SELECT * FROM pg_temp.show('First five');

-- ---- a window ----
SELECT adapty.create_promo_campaign('Next week', 'campaign high', 'premium', duration => '1 day', starts_at => now() + interval '7 days', ends_at => now() + interval '8 days') IS NOT NULL AS made;
SELECT adapty.start_promo_campaign('Next week');
SELECT * FROM pg_temp.show('Next week');
SELECT pg_temp.work();
SELECT * FROM pg_temp.show('Next week');
UPDATE adapty.promo_campaigns SET starts_at = now() - interval '2 days', ends_at = now() - interval '1 day', next_look_at = now() WHERE name = 'Next week';
SELECT pg_temp.work();
SELECT * FROM pg_temp.show('Next week');

-- ---- a batch that fails is told of, and done again later ----
SELECT adapty.create_promo_campaign('Unlucky', 'campaign high', 'premium', duration => '1 day') IS NOT NULL AS made;
SELECT adapty.start_promo_campaign('Unlucky');
CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no campaigns today'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON adapty.promo_campaign_grants FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse();
\set VERBOSITY terse
SELECT pg_temp.work();
\set VERBOSITY default
SELECT granted, failures, last_error, next_look_at > clock_timestamp() + interval '5 seconds' AS later FROM adapty.promo_campaigns WHERE name = 'Unlucky';
DROP TRIGGER refuse ON adapty.promo_campaign_grants;
UPDATE adapty.promo_campaigns SET next_look_at = now() WHERE name = 'Unlucky';
SELECT pg_temp.work();
SELECT granted, failures FROM adapty.promo_campaigns WHERE name = 'Unlucky';

-- ---- refused ----
\set VERBOSITY terse
SAVEPOINT s;
SELECT adapty.create_promo_campaign('Spring', 'campaign high', 'premium', duration => '1 day');
ROLLBACK TO s;
SELECT adapty.create_promo_campaign('x', 'no such segment', 'premium', duration => '1 day');
ROLLBACK TO s;
SELECT adapty.create_promo_campaign('x', 'campaign high', 'no_such_level', duration => '1 day');
ROLLBACK TO s;
SELECT adapty.create_promo_campaign('x', 'campaign high', 'premium');
ROLLBACK TO s;
SELECT adapty.create_promo_campaign('x', 'campaign high', 'premium', duration => '1 day', max_grants => 0);
ROLLBACK TO s;
SELECT adapty.create_promo_campaign('x', 'campaign high', 'premium', duration => '1 day', starts_at => '2030-01-02 00:00Z', ends_at => '2030-01-02 00:00Z');
ROLLBACK TO s;
SELECT adapty.create_promo_campaign('x', 'campaign high', 'premium', duration => '1 day', ends_at => '2020-01-02 00:00Z');
ROLLBACK TO s;
SELECT adapty.start_promo_campaign('no such campaign');
ROLLBACK TO s;
SELECT adapty.start_promo_campaign('Spring');
ROLLBACK TO s;
SELECT adapty.start_promo_campaign('First five');
ROLLBACK TO s;
SELECT adapty.pause_promo_campaign('First five');
ROLLBACK TO s;
SELECT * FROM adapty.preview_promo_campaign('no such campaign');
ROLLBACK TO s;
SELECT adapty.drop_segment('campaign high');
ROLLBACK TO s;
SET LOCAL ROLE adapty_sdk;
SELECT adapty.create_promo_campaign('x', 'campaign high', 'premium', duration => '1 day');
ROLLBACK TO s;
SET LOCAL ROLE adapty_analyst;
SELECT adapty.start_promo_campaign('Unlucky');
ROLLBACK TO s;
\set VERBOSITY default
SET LOCAL ROLE adapty_analyst;
SELECT c.name, c.state, count(g.profile_id) FROM adapty.promo_campaigns c LEFT JOIN adapty.promo_campaign_grants g USING (campaign_id) GROUP BY c.campaign_id, c.name, c.state ORDER BY 1;
RESET ROLE;
SET LOCAL ROLE adapty_server;
SELECT adapty.pause_promo_campaign('Unlucky');
RESET ROLE;
SELECT jsonb_array_length(adapty.export_profile('campaign-5') -> 'promo_campaign_grants') > 0 AS exported;
ROLLBACK;
