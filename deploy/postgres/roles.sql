-- The roles that Tocsin uses, and the database that they share. A superuser runs this with psql, as often as
-- one likes:
--
--   TOCSIN_OWNER_PASSWORD=… TOCSIN_PASSWORD=… psql --file=deploy/postgres/roles.sql
--
-- tocsin_owner   owns the tables; only `npm run migrate` logs in as it, with DATABASE_GRANT_TO=tocsin
-- tocsin         the API and the workers: neither may it change tables, nor what the audit log has recorded
\set ON_ERROR_STOP on
\getenv owner_password TOCSIN_OWNER_PASSWORD
\getenv password TOCSIN_PASSWORD

select format('create role %I login', role)
from unnest(array['tocsin_owner', 'tocsin']) as role
where not exists (select from pg_roles where rolname = role) \gexec

-- Statements with passwords are not to be in the server's log.
set log_statement = 'none';
set log_min_duration_statement = -1;
set log_min_error_statement = 'panic';
alter role tocsin_owner with login nosuperuser nocreatedb nocreaterole password :'owner_password';
alter role tocsin with login nosuperuser nocreatedb nocreaterole password :'password';
-- `tocsin` makes and drops partitions every day, so it owns the partitioned tables. Migrations change them.
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
