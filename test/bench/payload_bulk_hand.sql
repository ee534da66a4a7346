\timing on
SELECT count(hand.payload(event)) FROM hand.payload_events;
