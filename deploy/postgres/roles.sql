-- Creates the roles that Tocsin uses, and its database. A superuser runs this with psql. It may run again at
-- any time, and then sets the passwords again:
--
--   TOCSIN_OWNER_PASSWORD=… TOCSIN_PASSWORD=… psql --file=deploy/postgres/roles.sql
--
-- tocsin_owner   owns the tables; only `npm run migrate` logs in with it, with DATABASE_GRANT_TO=tocsin
-- tocsin         the API and the workers log in with it; it may change neither table definitions nor entries
--                of the audit log
\set ON_ERROR_STOP on
\getenv owner_password TOCSIN_OWNER_PASSWORD
\getenv password TOCSIN_PASSWORD

select format('create role %I login', role)
from unnest(array['tocsin_owner', 'tocsin']) as role
where not exists (select from pg_roles where rolname = role) \gexec

-- Statements that contain passwords must not appear in the server's log.
set log_statement = 'none';
set log_min_duration_statement = -1;
set log_min_error_statement = 'panic';
alter role tocsin_owner with login nosuperuser nocreatedb nocreaterole password :'owner_password';
alter role tocsin with login nosuperuser nocreatedb nocreaterole password :'password';
-- `tocsin` creates and drops partitions every day, so it owns the partitioned tables. Migrations run as
-- `tocsin_owner`, and must be able to change these tables too.
grant tocsin to tocsin_owner with inherit true, set true;

select 'create database tocsin owner tocsin_owner'
where not exists (select from pg_database where datname = 'tocsin') \gexec
alter database tocsin owner to tocsin_owner;
revoke all on database tocsin from public;
grant connect on database tocsin to tocsin;

\connect tocsin
alter schema public owner to tocsin_owner;
revoke create on schema public from public;
grant usage, create on schema public to tocsin;
