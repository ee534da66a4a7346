-- :users profiles with attributes, devices and access, and segments over them.
SET session_replication_role = replica;
TRUNCATE adapty.profiles CASCADE;
SELECT setseed(0.5);
INSERT INTO adapty.profiles (profile_id, created_at, last_seen_at, subscription_state, total_revenue_usd, ip_country, birthday, custom_attributes)
    SELECT gen_random_uuid(), now() - random() * interval '2 years', now() - random() * interval '90 days',
           (ARRAY['never_subscribed', 'never_subscribed', 'never_subscribed', 'never_subscribed', 'never_subscribed', 'never_subscribed', 'never_subscribed',
                  'subscribed', 'subscription_cancelled', 'trial_cancelled'])[1 + floor(random() * 10)]::adapty.subscription_state,
           round((random() * 100)::numeric, 2), (ARRAY['US', 'DE', 'FR', 'JP', 'BR'])[1 + floor(random() * 5)], date '1960-01-01' + floor(random() * 16000)::integer,
           jsonb_build_object('words_learned', floor(random() * 200), 'level', (ARRAY['bronze', 'silver', 'gold'])[1 + floor(random() * 3)], 'streak', floor(random() * 30))
      FROM generate_series(1, :users);
INSERT INTO adapty.identities SELECT 'user-' || row_number() OVER (), profile_id FROM adapty.profiles;
INSERT INTO adapty.installations (profile_id, device_id, platform, locale, app_version, installed_app_version)
    SELECT profile_id, gen_random_uuid(), (ARRAY['iOS', 'Android', 'web'])[1 + floor(random() * 3)]::adapty.platform, (ARRAY['en-US', 'de', 'pt-BR'])[1 + floor(random() * 3)],
           '1.' || floor(random() * 20) || '.' || floor(random() * 10), '1.0.0'
      FROM adapty.profiles WHERE random() < 0.9;
INSERT INTO adapty.access_grants (profile_id, access_level_id, starts_at, expires_at, state)
    SELECT profile_id, 'premium', now() - interval '30 days', now() + (random() - 0.5) * interval '60 days', 'active'
      FROM adapty.profiles WHERE random() < 0.3;
RESET session_replication_role;
VACUUM ANALYZE adapty.profiles;
VACUUM ANALYZE adapty.identities;
VACUUM ANALYZE adapty.installations;
VACUUM ANALYZE adapty.access_grants;
SELECT count(adapty.create_segment(name, filter::adapty.segment_filter)) FROM (VALUES
    ('country', 'country = ''US'' and last_seen before 30 days ago'),
    ('state', 'subscription_state in (subscription_cancelled, trial_cancelled)'),
    ('new', 'created_at within last 7 days'),
    ('words', 'attr.words_learned >= 100'),
    ('level', 'attr.level = ''gold'''),
    ('adults', 'age >= 18 and total_revenue_usd > 50'),
    ('version', 'app_version > ''1.10.0'''),
    ('without', 'not access(''premium'')'),
    ('lapsed', 'subscription_state in (never_subscribed, subscription_cancelled) and attr.words_learned >= 100 and country = ''US'' and last_seen before 30 days ago and app_version > ''1.10.0'' and not access(''premium'')')
    ) s (name, filter) WHERE NOT EXISTS (SELECT FROM adapty.segments g WHERE g.name = s.name);
