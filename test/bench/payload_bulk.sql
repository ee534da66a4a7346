\timing on
SELECT count(adapty.event_payload(event)) FROM hand.payload_events;
