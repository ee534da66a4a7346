-- The login of PostgREST. Run once in the cluster, as a superuser, after CREATE EXTENSION adapty (which
-- makes the other roles). Give it a password, or a line in pg_hba.conf, as you do for other services.
CREATE ROLE adapty_authenticator LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
GRANT adapty_anon, adapty_server, adapty_sdk, adapty_analyst TO adapty_authenticator;

-- PostgREST passes the headers of a request, the API key among them, as a parameter of a statement:
-- keep parameters out of the server's log, whatever log_statement and log_min_duration_statement say.
ALTER ROLE adapty_authenticator SET log_parameter_max_length = 0;
ALTER ROLE adapty_authenticator SET log_parameter_max_length_on_error = 0;

-- A request gives up rather than hold a connection of the pool: the client is told to try again.
-- PostgREST applies the settings of the role that it has taken itself, for requests with an API key the
-- anonymous one.
ALTER ROLE adapty_authenticator SET statement_timeout = '10s';
ALTER ROLE adapty_authenticator SET lock_timeout = '5s';
ALTER ROLE adapty_authenticator SET idle_in_transaction_session_timeout = '30s';
