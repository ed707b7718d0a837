// See dependents.hpp.
#include "pg/postgres.hpp"

#include "adopt/dependents.hpp"

#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "pg/strong_lock.hpp"

extern "C" {
#include <storage/lmgr.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::adopt
{

namespace
{

// Each gives (role, statement) rows. $1 the table, $2 its owner, $3 its qualified name.
constexpr const char *before[] = {
    "SELECT p.pubowner, format('ALTER PUBLICATION %I DROP TABLE %s', p.pubname, $3)"
    " FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE "
    "r.prrelid = $1",
    "SELECT $2, format('DROP TRIGGER %I ON %s', tgname, $3) FROM pg_catalog.pg_trigger"
    " WHERE tgrelid = $1 AND NOT tgisinternal",
};

// A unique check belongs to a partition set: a plain table has its primary key instead.
constexpr const char *after[] = {
    "SELECT $2, pg_get_triggerdef(oid) FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal"
    " AND tgfoid <> 'privacy_scan.check_unique()'::regprocedure ORDER BY tgname",
    "SELECT $2, format('ALTER TABLE %s %s TRIGGER %I', $3,"
    " CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname)"
    " FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled <> 'O'"
    " AND tgfoid <> 'privacy_scan.check_unique()'::regprocedure",
    "SELECT $2, format('ALTER SEQUENCE %I.%I OWNED BY %s.%I', n.nspname, s.relname, $3, a.attname)"
    " FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
    " JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = d.refobjsubid"
    " WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1"
    " AND d.deptype = 'a'",
    "SELECT $2, format('COMMENT ON %s IS %L', o.what, o.comment) FROM ("
    " SELECT format('TABLE %s', $3) AS what, obj_description($1, 'pg_class') AS comment"
    " UNION ALL SELECT format('CONSTRAINT %I ON %s', conname, $3), obj_description(oid, 'pg_constraint')"
    "  FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND conname <> 'privacy_scan_adoption'"
    " UNION ALL SELECT format('TRIGGER %I ON %s', tgname, $3), obj_description(oid, 'pg_trigger')"
    "  FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal"
    "  AND tgfoid <> 'privacy_scan.check_unique()'::regprocedure"
    " UNION ALL SELECT format('POLICY %I ON %s', polname, $3), obj_description(oid, 'pg_policy')"
    "  FROM pg_catalog.pg_policy WHERE polrelid = $1"
    " UNION ALL SELECT format('INDEX %I.%I', n.nspname, x.relname), obj_description(x.oid, 'pg_class')"
    "  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
    "  JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace WHERE i.indrelid = $1"
    "  AND NOT starts_with(x.relname::text, 'privacy_scan_adoption_')) AS o WHERE o.comment IS NOT NULL",
    "SELECT c.relowner, format('CREATE OR REPLACE VIEW %I.%I%s AS %s', n.nspname, c.relname,"
    " coalesce((SELECT ' WITH (' || string_agg(quote_ident(option_name) || ' = ' || "
    "quote_literal(option_value), ', ') || ')'"
    "  FROM pg_options_to_table(c.reloptions)), ''), pg_get_viewdef(c.oid))"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = "
    "'v'"
    " AND c.oid IN (SELECT r.ev_class FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = "
    "d.objid"
    "  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1)"
    " ORDER BY c.oid",
    "SELECT p.proowner, pg_get_functiondef(p.oid) FROM pg_catalog.pg_proc p WHERE p.oid IN"
    " (SELECT objid FROM pg_catalog.pg_depend WHERE classid = 'pg_proc'::regclass"
    "  AND refclassid = 'pg_class'::regclass AND refobjid = $1) ORDER BY p.oid",
    "SELECT p.pubowner, format('ALTER PUBLICATION %I ADD TABLE %s', p.pubname, $3)"
    " FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE "
    "r.prrelid = $1",
};

void read_into(pg::Spi &spi, const char *sql, const std::vector<pg::Param> &params,
               std::vector<RoleStatement> &statements)
{
    pg::Rows rows = spi.run(sql, params);
    for (std::size_t row = 0; row < rows.size(); ++row)
        statements.push_back({rows.oid(row, 1), rows.text(row, 2)});
}

} // namespace

Dependents read_dependents(pg::Spi &spi, Oid relid, Oid owner)
{
    Dependents dependents;
    const std::vector<pg::Param> params = {pg::oid_param(relid), pg::oid_param(owner),
                                           pg::text_param(pg::qualified_name(relid))};
    for (const char *sql : before)
        read_into(spi, sql, params, dependents.before);
    for (const char *sql : after)
        read_into(spi, sql, params, dependents.after);
    return dependents;
}

void run_as_roles(pg::Spi &spi, const std::vector<RoleStatement> &statements, Oid owner)
{
    for (const RoleStatement &statement : statements) {
        std::optional<pg::RoleScope> role;
        if (statement.role != owner)
            role.emplace(statement.role, 0); // what is restricted stays so
        spi.run(statement.sql);
    }
}

std::vector<Oid> referencing_tables(pg::Spi &spi, Oid relid)
{
    std::vector<Oid> relids;
    pg::Rows rows = spi.run("SELECT DISTINCT conrelid FROM pg_catalog.pg_constraint"
                            " WHERE confrelid = $1 AND contype = 'f' AND conparentid = 0 ORDER BY 1",
                            {pg::oid_param(relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        relids.push_back(rows.oid(row, 1));
    return relids;
}

std::int64_t lock_strongly(const std::vector<Oid> &relids)
{
    TimestampTz begun = 0;
    for (Oid relid : relids) {
        pg::guarded([=] {
            pg::note_lock(AccessExclusiveLock);
            LockRelationOid(relid, AccessExclusiveLock);
        });
        if (begun == 0)
            begun = GetCurrentTimestamp();
    }
    return begun;
}

namespace
{

// $1 the table. Role, statements: DROP, ADD, comment, whether there is one; VALIDATE, whether it was; the
// other table, and its size.
constexpr const char *referencing_keys =
    "SELECT r.relowner, format('ALTER TABLE %s DROP CONSTRAINT %I', o.name, c.conname),"
    " format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', o.name, c.conname, "
    "pg_get_constraintdef(c.oid)),"
    " format('COMMENT ON CONSTRAINT %I ON %s IS %L', c.conname, o.name, obj_description(c.oid, "
    "'pg_constraint')),"
    " obj_description(c.oid, 'pg_constraint') IS NOT NULL,"
    " format('ALTER TABLE %s VALIDATE CONSTRAINT %I', o.name, c.conname), c.convalidated, c.conrelid,"
    " coalesce(pg_relation_size(c.conrelid), 0)::float8"
    " FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class r ON r.oid = c.conrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace,"
    " LATERAL (SELECT format('%I.%I', n.nspname, r.relname) AS name) AS o"
    " WHERE c.confrelid = $1 AND c.contype = 'f' AND c.conparentid = 0 ORDER BY c.conrelid, c.oid";

} // namespace

ReferencingKeys read_referencing(pg::Spi &spi, Oid relid, const std::vector<Oid> &locked)
{
    if (referencing_tables(spi, relid) != locked)
        pg::fail(ERRCODE_OBJECT_IN_USE,
                 "foreign keys to relation \"" + pg::relation_name(relid) + "\" changed meanwhile", {},
                 "Try again.");
    ReferencingKeys keys;
    pg::Rows rows = spi.run(referencing_keys, {pg::oid_param(relid)});
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const Oid role = rows.oid(row, 1);
        keys.drop.push_back({role, rows.text(row, 2)});
        keys.add.push_back({role, rows.text(row, 3)});
        if (rows.boolean(row, 5))
            keys.add.push_back({role, rows.text(row, 4)});
    }
    return keys;
}

std::vector<Validation> read_validations(pg::Spi &spi, Oid relid)
{
    pg::CatalogPath path;
    std::vector<Validation> validations;
    pg::Rows rows = spi.run(referencing_keys, {pg::oid_param(relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        validations.push_back({rows.oid(row, 8),
                               rows.float8(row, 9),
                               {rows.oid(row, 1), rows.text(row, 6)},
                               rows.boolean(row, 7)});
    return validations;
}

void validate_key(pg::Spi &spi, const Validation &validation)
{
    pg::OwnerScope owner(validation.statement.role);
    pg::LockWait wait;
    auto failure = pg::try_with_locks({validation.table}, wait, [&] { spi.run(validation.statement.sql); });
    if (failure)
        pg::raise(*failure);
}

std::string fingerprint(pg::Spi &spi, Oid relid)
{
    return spi
        .run("SELECT md5(concat_ws('|', (SELECT string_agg(concat_ws(' ', d.classid, d.objid, r.xmin, "
             "p.xmin), ','"
             "  ORDER BY d.classid, d.objid, d.refobjsubid)"
             "  FROM pg_catalog.pg_depend d"
             "  LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid"
             "  LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid"
             "  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1),"
             " (SELECT string_agg(concat_ws(' ', d.classid, d.objid), ',' ORDER BY d.classid, d.objid)"
             "  FROM pg_catalog.pg_type t JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_type'::regclass"
             "  AND d.refobjid IN (t.oid, t.typarray) WHERE t.typrelid = $1),"
             " (SELECT relacl::text FROM pg_catalog.pg_class WHERE oid = $1),"
             " (SELECT string_agg(concat(attnum, attacl), ',' ORDER BY attnum) FROM pg_catalog.pg_attribute"
             "  WHERE attrelid = $1 AND attacl IS NOT NULL)))",
             {pg::oid_param(relid)})
        .text(0, 1);
}

namespace
{

// $1 the table. Column, sequence's OID, name and options, privileges and comment come in one row each.
constexpr const char *identity_columns =
    "SELECT s.oid, format('%I.%I', n.nspname, s.relname),"
    " format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', $2, a.attname),"
    " format('ALTER TABLE %s ALTER COLUMN %I ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %I.%I INCREMENT BY "
    "%s"
    " MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s)', $2, a.attname,"
    "  CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, n.nspname, s.relname, "
    "q.seqincrement, q.seqmin,"
    "  q.seqmax, q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)"
    " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_depend d ON d.classid = 'pg_class'::regclass"
    " AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = a.attnum AND d.deptype "
    "= 'i'"
    " JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
    " JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace JOIN pg_catalog.pg_sequence q ON q.seqrelid = "
    "s.oid"
    " WHERE a.attrelid = $1 AND a.attidentity <> '' ORDER BY a.attnum";

// $1 the sequence, $2 its name.
constexpr const char *dress_of_sequence =
    "SELECT format('GRANT %s ON SEQUENCE %s TO %s%s', a.privilege_type, $2,"
    " CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)::text) END,"
    " CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)"
    " FROM pg_catalog.pg_class c, aclexplode(c.relacl) a WHERE c.oid = $1 AND a.grantee <> c.relowner"
    " UNION ALL SELECT format('COMMENT ON SEQUENCE %s IS %L', $2, obj_description($1, 'pg_class'))"
    " WHERE obj_description($1, 'pg_class') IS NOT NULL";

} // namespace

std::vector<Identity> read_identities(pg::Spi &spi, Oid relid)
{
    std::vector<Identity> identities;
    pg::Rows rows =
        spi.run(identity_columns, {pg::oid_param(relid), pg::text_param(pg::qualified_name(relid))});
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const Oid sequence = rows.oid(row, 1);
        // nextval() may be called by itself, without a lock on the table.
        pg::guarded([=] { LockRelationOid(sequence, AccessExclusiveLock); });
        Identity identity{rows.text(row, 2), 0, false, {rows.text(row, 3)}, {rows.text(row, 4)}};
        pg::Rows state = spi.run("SELECT last_value, is_called FROM " + identity.sequence);
        identity.last_value = state.int8(0, 1);
        identity.is_called = state.boolean(0, 2);
        pg::Rows dress =
            spi.run(dress_of_sequence, {pg::oid_param(sequence), pg::text_param(identity.sequence)});
        for (std::size_t i = 0; i < dress.size(); ++i)
            identity.create.push_back(dress.text(i, 1));
        identities.push_back(identity);
    }
    return identities;
}

void drop_identities(pg::Spi &spi, const std::vector<Identity> &identities)
{
    for (const Identity &identity : identities)
        for (const std::string &sql : identity.drop)
            spi.run(sql);
}

void create_identities(pg::Spi &spi, const std::vector<Identity> &identities)
{
    for (const Identity &identity : identities) {
        for (const std::string &sql : identity.create)
            spi.run(sql);
        spi.run("SELECT setval($1::regclass, $2, $3)",
                {pg::text_param(identity.sequence), pg::int8_param(identity.last_value),
                 pg::bool_param(identity.is_called)});
    }
}

} // namespace privacy_scan::adopt
