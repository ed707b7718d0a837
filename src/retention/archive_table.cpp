// See archive_table.hpp.
#include "pg/postgres.hpp"

#include "retention/archive_table.hpp"

#include "partition/row_security.hpp"
#include "pg/ident.hpp"
#include "pg/privileges.hpp"
#include "pg/subxact.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <catalog/namespace.h>
#include <catalog/pg_class_d.h>
#include <storage/lockdefs.h>
#include <utils/acl.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::retention
{

namespace
{

std::string archive_schema(const Member &member, const std::string &schema)
{
    return schema.empty() ? pg::name_with_suffix(pg::schema_name(member.table.relid), "_archive") : schema;
}

std::string archive_relation(const Member &member)
{
    return pg::name_with_suffix(pg::relation_name(member.table.relid), "_archive");
}

Oid schema_oid(const std::string &schema)
{
    const char *name = schema.c_str();
    return pg::guarded([=] { return get_namespace_oid(name, true); });
}

Oid relation_oid(const std::string &schema, const std::string &relation)
{
    const Oid schema_id = schema_oid(schema);
    const char *name = relation.c_str();
    return OidIsValid(schema_id) ? pg::guarded([=] { return get_relname_relid(name, schema_id); })
                                 : InvalidOid;
}

// With the caller's rights: a table's owner need not be allowed to make schemas.
void make_schema(pg::Spi &spi, const std::string &schema, Oid owner)
{
    if (OidIsValid(schema_oid(schema)))
        return;
    const std::string sql =
        "CREATE SCHEMA " + pg::quote(schema) + " AUTHORIZATION " + pg::quote(pg::role_name(owner));
    pg::GucScope waiting; // for another session that makes it just now
    waiting.set("lock_timeout", (std::to_string(settings::lock_timeout_ms()) + "ms").c_str());
    if (auto failure = pg::try_in_subtransaction([&] { spi.run(sql); })) {
        if (OidIsValid(schema_oid(schema)))
            return;
        if (failure->sqlstate != "42501")
            pg::raise(*failure);
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                 "could not create the schema \"" + schema + "\" for the archive", failure->message + ".",
                 "Let somebody with the right to it run: " + sql);
    }
}

// Whoever owns a schema may drop what is in it: only the archive's own owner, or who may do so anyway.
void check_schema(pg::Spi &spi, const std::string &schema, Oid owner, bool archive_exists)
{
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run_kept("SELECT r.rolname::text, r.rolsuper OR r.oid = d.datdba OR r.rolname = 'pg_database_owner'"
                     "  OR pg_has_role($2, r.oid, 'MEMBER'),"
                     " has_schema_privilege($2, n.oid, 'CREATE') AND has_schema_privilege($2, n.oid, 'USAGE')"
                     " FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner,"
                     " pg_catalog.pg_database d WHERE n.nspname = $1 AND d.datname = current_database()",
                     {pg::text_param(schema), pg::oid_param(owner)});
    if (rows.empty())
        return; // it is about to be made
    const std::string role = pg::role_name(owner);
    if (!rows.boolean(0, 2))
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                 "schema \"" + schema + "\" cannot hold the archive of \"" + role + "\"",
                 "It belongs to \"" + rows.text(0, 1) + "\", who could drop the archive.",
                 "Give the schema to \"" + role + "\", or name another archive_schema.");
    if (!archive_exists && !rows.boolean(0, 3))
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                 "schema \"" + schema + "\" cannot hold the archive of \"" + role + "\"",
                 "\"" + role + "\" may not create tables in it.",
                 "Run GRANT CREATE, USAGE ON SCHEMA " + pg::quote(schema) + " TO " + pg::quote(role) +
                     ", or name another archive_schema.");
}

// Values only: no defaults, keys or constraints, so that nothing of the source's future rules can refuse a
// row.
Oid make_table(pg::Spi &spi, const Member &member, const std::string &schema, const std::string &relation)
{
    const std::string name = pg::quote(schema, relation);
    make_schema(spi, schema, member.table.owner);
    check_schema(spi, schema, member.table.owner, false);
    pg::OwnerScope owner(member.table.owner);
    spi.run("CREATE TABLE " + name + " (LIKE " + member.name + " INCLUDING STORAGE INCLUDING COMMENTS)");
    const Oid relid = relation_oid(schema, relation);
    pg::Rows columns = spi.run("SELECT quote_ident(attname::text) FROM pg_catalog.pg_attribute"
                               " WHERE attrelid = $1 AND attnum > 0 AND attnotnull AND NOT attisdropped",
                               {pg::oid_param(relid)});
    std::string changes;
    for (std::size_t row = 0; row < columns.size(); ++row)
        changes += (row ? ", ALTER COLUMN " : "ALTER COLUMN ") + columns.text(row, 1) + " DROP NOT NULL";
    if (!changes.empty())
        spi.run("ALTER TABLE " + name + " " + changes);
    pg::undo_default_privileges(spi, relid);
    carry_row_security(spi, member.table.relid, relid);
    return relid;
}

// Two sources in one archive could not be told apart any more.
void check_not_shared(pg::Spi &spi, const Member &member, const ArchiveTable &archive)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run_kept(
        "SELECT source FROM privacy_scan.archive_ledger"
        " WHERE target = $1 AND source <> $2 AND relation::oid <> $3 LIMIT 1",
        {pg::text_param(archive.name), pg::text_param(member.name), pg::oid_param(member.table.relid)});
    if (!rows.empty())
        pg::fail(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                 archive.name + " cannot be the archive of " + member.name,
                 "It holds rows of " + rows.text(0, 1) + ".", "Name another archive_schema.");
}

void check_archive(pg::Spi &spi, const Member &member, const ArchiveTable &archive)
{
    const Oid relid = archive.relid;
    const char kind = pg::guarded([=] { return get_rel_relkind(relid); });
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, archive.name + " cannot be an archive", "It is not a table.",
                 "Rename it, or name another archive_schema.");
    if (pg::require_owner(relid).owner != member.table.owner)
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE, archive.name + " cannot be the archive of " + member.name,
                 "It has another owner.", "Give it the owner of its source, or name another archive_schema.");
    check_not_shared(spi, member, archive);
}

} // namespace

void carry_row_security(pg::Spi &spi, Oid from, Oid to)
{
    const partition::RowSecurity security = partition::read_row_security(spi, from);
    if (security.switches.empty())
        return;
    const auto failure =
        pg::try_in_subtransaction([&] { partition::secure_rows(spi, security, from, to); });
    if (!failure)
        return;
    partition::secure_rows(spi, {security.switches, {}}, from, to);
    const std::string archive = pg::qualified_name(to), source = pg::qualified_name(from);
    pg::guarded([&] {
        ereport(WARNING, (errmsg("%s has row-level security without the policies of %s", archive.c_str(), source.c_str()),
                          errdetail("A policy could not be made there: %s.", failure->message.c_str()),
                          errhint("Make policies there. Until then it shows its rows to those alone whom row-level security doesn't concern.")));
    });
}

std::string follow_columns(pg::Spi &spi, const NamedTable &source, const NamedTable &table)
{
    std::string columns;
    pg::Rows rows = spi.run_kept(
        "SELECT quote_ident(s.attname::text), format_type(s.atttypid, s.atttypmod), a.attname IS NULL,"
        " (a.atttypid, a.atttypmod) IS DISTINCT FROM (s.atttypid, s.atttypmod),"
        " CASE WHEN s.attcollation <> t.typcollation THEN"
        "  format(' COLLATE %I.%I', n.nspname, c.collname) ELSE '' END"
        " FROM pg_catalog.pg_attribute s JOIN pg_catalog.pg_type t ON t.oid = s.atttypid"
        " LEFT JOIN pg_catalog.pg_collation c ON c.oid = s.attcollation"
        " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace"
        " LEFT JOIN pg_catalog.pg_attribute a"
        "  ON a.attrelid = $2 AND a.attname = s.attname AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE s.attrelid = $1 AND s.attnum > 0 AND NOT s.attisdropped ORDER BY s.attnum",
        {pg::oid_param(source.relid), pg::oid_param(table.relid)});
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const std::string column = rows.text(row, 1), type = rows.text(row, 2);
        if (rows.boolean(row, 3))
            spi.run("ALTER TABLE " + table.name + " ADD COLUMN IF NOT EXISTS " + column + " " + type +
                    rows.text(row, 5));
        else if (rows.boolean(row, 4))
            pg::fail(ERRCODE_DATATYPE_MISMATCH,
                     "column " + column + " of " + table.name + " has another type than in " + source.name,
                     "The source has " + type + " now.",
                     "Run ALTER TABLE " + table.name + " ALTER COLUMN " + column + " TYPE " + type +
                         ", or rename the archive.");
        columns += (row ? ", " : "") + column;
    }
    return columns;
}

std::string archive_name(const Member &member, const std::string &schema)
{
    return pg::quote(archive_schema(member, schema), archive_relation(member));
}

Oid archive_oid(const Member &member, const std::string &schema)
{
    return relation_oid(archive_schema(member, schema), archive_relation(member));
}

ArchiveTable open_archive(pg::Spi &spi, const Member &member, const std::string &schema)
{
    pg::CatalogPath path;
    const std::string in = archive_schema(member, schema), relation = archive_relation(member);
    ArchiveTable archive{relation_oid(in, relation), pg::quote(in, relation), {}, InvalidOid, {}};
    check_schema(spi, in, member.table.owner, OidIsValid(archive.relid));
    if (!OidIsValid(archive.relid)) {
        pg::lock_owned(member.table, ShareUpdateExclusiveLock); // one session at a time makes it
        archive.relid = relation_oid(in, relation);
    }
    if (!OidIsValid(archive.relid))
        archive.relid = make_table(spi, member, in, relation);
    check_archive(spi, member, archive);
    pg::OwnerScope owner(member.table.owner);
    archive.columns =
        follow_columns(spi, {member.table.relid, member.name}, {archive.relid, archive.name});
    return archive;
}

} // namespace privacy_scan::retention
