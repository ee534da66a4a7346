-- Defining webhooks: what is accepted and what is refused; who may. Sending is tested by TAP.
\set SHOW_CONTEXT never
SELECT adapty.define_webhook('crm', 'https://example.com/hooks?key=1', authorization_value => 'Bearer secret') ~ '^whsec_[A-Za-z0-9+/]{43}=$' AS new_secret;
-- again: it keeps its secret and its Authorization
SELECT adapty.define_webhook('crm', 'https://example.com/hooks?key=2', environment => 'Sandbox', event_types => '{subscription_started,trial_started}',
    event_names => '{"trial_started": "started"}', send_user_attributes => true, exclude_historical => true, max_in_flight => 5, success_to => 299) IS NULL AS no_new_secret;
SELECT webhook_id, url, environment, state, event_types, event_names, send_user_attributes, send_attribution, exclude_historical, max_in_flight, success_from, success_to FROM adapty.webhooks;
SELECT authorization_value, signing_secret ~ '^whsec_' AS signs, previous_secret IS NULL AS no_previous FROM adapty.webhook_secrets;
SELECT adapty.rotate_webhook_secret('crm', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '1 hour');
SELECT signing_secret, previous_secret ~ '^whsec_' AS has_previous, previous_valid_until - now() BETWEEN interval '0' AND interval '1 hour' AS for_an_hour FROM adapty.webhook_secrets;
SELECT adapty.define_webhook('crm', 'https://example.com/hooks', authorization_value => '', signing_secret => '') IS NULL AS no_secret;
SELECT authorization_value, signing_secret, previous_secret FROM adapty.webhook_secrets;
-- what people see has no query string, and no secret
SELECT webhook_id, url, environment, state, waiting, parked, delivered, lost FROM adapty.webhook_status;

-- enabling takes the position of now; the sender does the rest
BEGIN;
SELECT adapty.enable_webhook('crm');
SELECT state, state_reason FROM adapty.webhooks;
SELECT cursor IS NOT NULL AS has_position FROM adapty.webhook_progress;
SELECT adapty.disable_webhook('crm');
SELECT state FROM adapty.webhooks;
SELECT cursor AS kept FROM adapty.webhook_progress \gset
SELECT adapty.create_profile('hook-1') IS NOT NULL AS made;
SELECT adapty.enable_webhook('crm', catch_up => true);
SELECT cursor = :'kept' AS goes_on FROM adapty.webhook_progress;
ROLLBACK;
-- a row that arrives enabled, as from a dump, is disabled
BEGIN;
INSERT INTO adapty.webhooks (webhook_id, url, state) VALUES ('restored', 'https://example.com/', 'enabled');
SELECT state, state_reason FROM adapty.webhooks WHERE webhook_id = 'restored';
ROLLBACK;

-- who gets what
SELECT adapty.create_profile('hook-1') IS NOT NULL AS made;
SELECT is_active FROM adapty.grant_access_level('hook-1', 'premium', duration => '1 day', reason => 'hook');
SELECT adapty.define_webhook('all', 'http://[::1]:8080/', signing_secret => '') IS NULL AS no_secret;
SELECT adapty.define_webhook('sandbox', 'HTTP://example.com', environment => 'Sandbox', signing_secret => '') IS NULL AS no_secret;
SELECT adapty.define_webhook('other', 'https://example.com:443', event_types => '{trial_started}', signing_secret => '') IS NULL AS no_secret;
SELECT adapty.define_webhook('recent', 'https://example.com/a%20b', exclude_historical => true, signing_secret => '') IS NULL AS no_secret;
INSERT INTO adapty.installations (profile_id, device_id, created_at) SELECT profile_id, '00000000-0000-4000-8000-00000000000d', now() + interval '1 day' FROM adapty.identities WHERE customer_user_id = 'hook-1';
SELECT w.webhook_id, adapty._webhook_wants(w, e) AS wants FROM adapty.webhooks w, adapty.events e WHERE e.reason = 'hook' ORDER BY 1;
UPDATE adapty.installations SET created_at = now() - interval '1 day' WHERE device_id = '00000000-0000-4000-8000-00000000000d';
SELECT adapty._webhook_wants(w, e) AS wants FROM adapty.webhooks w, adapty.events e WHERE e.reason = 'hook' AND w.webhook_id = 'recent';
-- its names
UPDATE adapty.webhooks SET event_names = '{"access_level_updated": "zugang \"neu\""}' WHERE webhook_id = 'all';
SELECT adapty._webhook_body(w, e)::jsonb ->> 'event_type' AS event_type FROM adapty.webhooks w, adapty.events e WHERE e.reason = 'hook' AND w.webhook_id = 'all';

-- resending queues
SELECT event_id AS event FROM adapty.events WHERE reason = 'hook' \gset
SELECT adapty.resend_event(:'event', 'all');
SELECT adapty.resend_event(:'event', 'all');
SELECT adapty.resend_event(:'event');
SELECT webhook_id, state, attempts FROM adapty.webhook_deliveries WHERE event_id = :'event';
UPDATE adapty.webhook_deliveries SET state = 'parked', attempts = 10, finished_at = now();
SELECT parked, waiting FROM adapty.webhook_status WHERE webhook_id = 'all';
SELECT delivery, attempts FROM adapty.event_feed WHERE event_id = :'event';
SELECT adapty.resend_failed('all', to_time => '2000-01-01 00:00+00'), adapty.resend_failed('sandbox'), adapty.resend_failed(), adapty.resend_failed();
SELECT state, attempts, finished_at FROM adapty.webhook_deliveries;
SELECT adapty.resend_events('all', '2000-01-01 00:00+00', '2000-01-02 00:00+00') AS none, adapty.resend_events('all', '-infinity', 'infinity') >= 1 AS some;
SELECT adapty.delete_webhook(w), adapty.delete_webhook(w) AS again FROM unnest('{all,sandbox,other,recent}'::text[]) w;
SELECT count(*) FROM adapty.webhook_deliveries;

-- refused
SELECT adapty.define_webhook(NULL, 'https://example.com');
SELECT adapty.define_webhook('a b', 'https://example.com');
SELECT adapty.define_webhook('x', NULL);
SELECT adapty.define_webhook('x', 'ftp://example.com/');
SELECT adapty.define_webhook('x', 'file:///etc/passwd');
SELECT adapty.define_webhook('x', 'example.com');
SELECT adapty.define_webhook('x', 'https://');
SELECT adapty.define_webhook('x', 'https:///path');
SELECT adapty.define_webhook('x', 'https://:443/path');
SELECT adapty.define_webhook('x', 'https://user:password@example.com/');
SELECT adapty.define_webhook('x', E'https://example.com/\r\nX-Evil: 1');
SELECT adapty.define_webhook('x', 'https://example.com/a b');
SELECT adapty.define_webhook('x', 'https://example.com/#top');
SELECT adapty.define_webhook('x', 'https://example.com/' || repeat('x', 2000));
SELECT adapty.define_webhook('x', 'https://example.com', authorization_value => E'Bearer secret\r\nX-Evil: 1');
SELECT adapty.define_webhook('x', 'https://example.com', authorization_value => E'Bearer secret\n');
SELECT adapty.define_webhook('x', 'https://example.com', authorization_value => U&'Bearer \00e9');
SELECT adapty.define_webhook('x', 'https://example.com', authorization_value => ' Bearer secret');
SELECT adapty.define_webhook('x', 'https://example.com', authorization_value => repeat('s', 5000));
SELECT adapty.define_webhook('x', 'https://example.com', signing_secret => 'my secret');
SELECT adapty.define_webhook('x', 'https://example.com', signing_secret => 'whsec_c2hvcnQ=');
SELECT adapty.define_webhook('x', 'https://example.com', event_names => '[]');
SELECT adapty.define_webhook('x', 'https://example.com', event_names => '{"nothing": "x"}');
SELECT adapty.define_webhook('x', 'https://example.com', event_names => '{"trial_started": ""}');
SELECT adapty.define_webhook('x', 'https://example.com', event_names => '{"trial_started": 1}');
SELECT adapty.define_webhook('x', 'https://example.com', max_in_flight => 0);
SELECT adapty.define_webhook('x', 'https://example.com', success_from => 100);
SELECT adapty.define_webhook('x', 'https://example.com', success_from => 300, success_to => 299);
SELECT adapty.rotate_webhook_secret('crm', overlap => '-1 hour');
SELECT adapty.rotate_webhook_secret('nobody');
SELECT adapty.enable_webhook('nobody');
SELECT adapty.disable_webhook('nobody');
SELECT adapty.resend_event('00000000-0000-7000-8000-0000000000ff');
SELECT adapty.resend_event(NULL);
SELECT adapty.resend_event('00000000-0000-7000-8000-0000000000ff', 'nobody');
SELECT adapty.resend_failed('nobody');
SELECT adapty.resend_events('crm', NULL, now());
SELECT count(*) FROM adapty.webhooks;

-- who may
SET ROLE adapty_server;
SELECT webhook_id, state FROM adapty.webhook_status;
SELECT adapty.resend_failed();
SELECT count(*) > 0 AS reads FROM adapty.event_feed;
SELECT * FROM adapty.webhook_secrets;
SELECT * FROM adapty.webhooks;
SELECT * FROM adapty.webhook_deliveries;
SELECT adapty.define_webhook('x', 'https://example.com');
SELECT adapty.rotate_webhook_secret('crm');
SELECT adapty.enable_webhook('crm');
SELECT adapty.delete_webhook('crm');
SET ROLE adapty_analyst;
SELECT * FROM adapty.webhook_status;
SELECT adapty.resend_failed();
SET ROLE adapty_sdk;
SELECT * FROM adapty.webhook_status;
RESET ROLE;
BEGIN READ ONLY;
SELECT adapty.define_webhook('x', 'https://example.com');
ROLLBACK;
SELECT adapty.delete_webhook('crm');
SELECT (SELECT count(*) FROM adapty.webhooks) AS webhooks, (SELECT count(*) FROM adapty.webhook_secrets) AS secrets, (SELECT count(*) FROM adapty.webhook_progress) AS progress;
