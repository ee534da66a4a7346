-- The same rows of transactions as a file, in the order of the import's file.
COPY (SELECT t.* FROM file JOIN adapty.transactions t USING (store, store_transaction_id) ORDER BY :order) TO :'file' WITH (FORMAT csv);
