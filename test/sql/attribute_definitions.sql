-- Definitions of custom attributes: optional, enforced when given, old values reported.
SELECT count(adapty.create_profile('def-' || n)) FROM generate_series(1, 4) n;
SELECT adapty.set_attribute('def-1', 'def_level', 'gold'), adapty.set_attribute('def-2', 'def_level', 'lead'), adapty.set_attribute('def-3', 'def_level', 7);
-- what is there already is reported, and stays
SELECT adapty.define_attribute('def_level', 'string', 'Level', '["gold", "silver"]');
SELECT customer_user_id, value FROM adapty.attribute_violations('def_level') JOIN adapty.identities USING (profile_id) ORDER BY 1;
SELECT key, value_type, label, allowed_values FROM adapty.attribute_definitions WHERE key LIKE 'def%';
SELECT adapty.get_attribute('def-2', 'def_level');
-- enforced, whichever function sets it; all or nothing
SELECT adapty.set_attribute('def-1', 'def_level', 'platinum');
SELECT adapty.set_attribute('def-1', 'def_level', 5);
SELECT adapty.set_attributes('def-1', '{"def_other": 1, "def_level": "lead"}');
SELECT adapty.update_profile('def-1', '{"first_name": "Ann", "custom_attributes": [{"key": "def_level", "value": "lead"}]}');
SELECT adapty.create_profile('def-5', '{"custom_attributes": {"def_level": "lead"}}');
SELECT adapty.get_attributes('def-1');
SELECT adapty.set_attribute('def-2', 'def_level', 'silver'), adapty.set_attributes('def-1', '{"def_other": "free", "def_level": "gold"}');
SELECT adapty.set_attribute('def-3', 'def_level', NULL);
SELECT count(*) FROM adapty.attribute_violations('def_level');
SELECT count(*) FROM adapty.identities WHERE customer_user_id = 'def-5';
-- a number, any or some; replacing a definition keeps its label
SELECT adapty.define_attribute('def_words', 'number');
SELECT adapty.set_attribute('def-1', 'def_words', 'many');
SELECT adapty.set_attribute('def-1', 'def_words', 1.5), adapty.set_attribute('def-2', 'def_words', true);
SELECT adapty.define_attribute('def_words', 'number', allowed_values => '[1, 1.50]');
SELECT adapty.define_attribute('def_level', 'string', allowed_values => NULL);
SELECT key, value_type, label, allowed_values FROM adapty.attribute_definitions WHERE key LIKE 'def%' ORDER BY key;
SELECT adapty.set_attribute('def-1', 'def_words', 2);
SELECT adapty.set_attribute('def-1', 'def_level', 'anything');
SELECT adapty.undefine_attribute('def_words'), adapty.undefine_attribute('def_words');
SELECT adapty.set_attribute('def-1', 'def_words', 'many');
SELECT * FROM adapty.attribute_violations('def_words');
-- a segment that compares with what nobody can have
SELECT adapty.define_attribute('def_level', 'string', allowed_values => '["gold", "anything"]');
SELECT adapty.create_segment('def segment', 'attr.def_level > 3 and attr.def_level in (''gold'', ''lead'') or not (attr.def_free = 7) or attr.def_level != ''lead''') IS NOT NULL AS made;
SELECT adapty.alter_segment('def segment', 'attr.def_level = ''silver''');
SELECT adapty.drop_segment('def segment');
-- refusals
SELECT adapty.define_attribute('first_name', 'string');
SELECT adapty.define_attribute('platform', 'string');
SELECT adapty.define_attribute('a b', 'string');
SELECT adapty.define_attribute(NULL, 'string');
SELECT adapty.define_attribute('def_x', NULL);
SELECT adapty.define_attribute('def_x', 'boolean');
SELECT adapty.define_attribute('def_x', 'string', allowed_values => '[]');
SELECT adapty.define_attribute('def_x', 'string', allowed_values => '"a"');
SELECT adapty.define_attribute('def_x', 'string', allowed_values => '["a", 1]');
SELECT adapty.define_attribute('def_x', 'number', allowed_values => '["a"]');
SELECT adapty.define_attribute('def_x', 'string', allowed_values => '[""]');
SELECT adapty.define_attribute('def_x', 'string', allowed_values => to_jsonb(ARRAY[repeat('x', 51)]));
SELECT adapty.define_attribute('def_x', 'string', '');
SET ROLE adapty_analyst;
SELECT adapty.define_attribute('def_x', 'string');
SELECT adapty.attribute_violations('def_level');
SELECT count(*) > 0 AS read FROM adapty.attribute_definitions;
RESET ROLE;
SET ROLE adapty_server;
SELECT adapty.define_attribute('def_x', 'string');
SELECT adapty.undefine_attribute('def_x');
RESET ROLE;
SELECT adapty.undefine_attribute('def_level');
SELECT count(adapty.delete_profile('def-' || n)) FROM generate_series(1, 4) n;
