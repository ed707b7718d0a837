// See blueprint.hpp. What is inherited and what is not: doc/partitions.md.
#include "pg/postgres.hpp"

#include "partition/blueprint.hpp"

#include "pg/compat.hpp"
#include "pg/ident.hpp"
#include "pg/privileges.hpp"

extern "C" {
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/syscache.h>
}

namespace privacy_scan::partition
{

namespace
{

// Each query gives statements as (head, tail) pairs about the partition.
void add_statements(pg::Spi &spi, const std::string &sql, Oid relid, std::vector<Statement> &statements)
{
    pg::Rows rows = spi.run(sql, {pg::oid_param(relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        statements.push_back({rows.text(row, 1), rows.text(row, 2)});
}

// Of the options only these: minor releases keep notes of their own among them.
constexpr const char *column_settings =
    "SELECT 'ALTER TABLE ', ' ALTER COLUMN ' || quote_ident(attname::text) || ' SET STATISTICS ' || "
    "attstattarget"
    " FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attstattarget "
    ">= 0 "
    "UNION ALL "
    "SELECT 'ALTER TABLE ', ' ALTER COLUMN ' || quote_ident(attname::text) || ' SET (' ||"
    " (SELECT string_agg(quote_ident(option_name) || ' = ' || quote_literal(option_value), ', ')"
    "  FROM pg_options_to_table(attoptions) WHERE option_name LIKE 'n\\_distinct%') || ')'"
    " FROM pg_catalog.pg_attribute"
    " WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attoptions::text LIKE '%n\\_distinct%'";

constexpr const char *privileges =
    "SELECT 'GRANT ' || a.privilege_type || ' ON ', ' TO ' ||"
    " CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)::text) END ||"
    " CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"
    " FROM pg_catalog.pg_class c, aclexplode(c.relacl) a WHERE c.oid = $1 AND a.grantee <> c.relowner "
    "UNION ALL "
    "SELECT 'GRANT ' || a.privilege_type || ' (' || quote_ident(t.attname::text) || ') ON ', ' TO ' ||"
    " CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)::text) END ||"
    " CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid AND NOT t.attisdropped,"
    " aclexplode(t.attacl) a WHERE c.oid = $1 AND a.grantee <> c.relowner";

// Access method, storage parameters (TOAST's too) of the newest partition; tablespace of the parent.
constexpr const char *storage =
    "SELECT coalesce(' USING ' || quote_ident(m.amname::text), '') ||"
    " coalesce(' WITH (' || nullif(concat_ws(', ',"
    "  (SELECT string_agg(quote_ident(option_name) || ' = ' || quote_literal(option_value), ', ')"
    "   FROM pg_options_to_table(s.reloptions)),"
    "  (SELECT string_agg('toast.' || quote_ident(option_name) || ' = ' || quote_literal(option_value), ', ')"
    "   FROM pg_options_to_table(t.reloptions))), '') || ')', '') ||"
    " coalesce(' TABLESPACE ' || quote_ident(x.spcname::text), ''),"
    " p.relpersistence::text, p.relreplident::text,"
    " EXISTS (SELECT FROM pg_catalog.pg_default_acl WHERE defaclobjtype = 'r'),"
    " EXISTS (SELECT FROM pg_catalog.pg_statistic_ext WHERE stxrelid = $1 AND stxstattarget >= 0)"
    " FROM pg_catalog.pg_class p"
    " LEFT JOIN pg_catalog.pg_class s ON s.oid = $2"
    " LEFT JOIN pg_catalog.pg_am m ON m.oid = s.relam"
    " LEFT JOIN pg_catalog.pg_class t ON t.oid = s.reltoastrelid"
    " LEFT JOIN pg_catalog.pg_tablespace x ON x.oid = p.reltablespace"
    " WHERE p.oid = $1";

Oid newest_plain_partition(const Layout &layout)
{
    for (auto partition = layout.partitions.rbegin(); partition != layout.partitions.rend(); ++partition) {
        Oid relid = *partition;
        if (pg::guarded([=] { return get_rel_relkind(relid); }) == RELKIND_RELATION)
            return relid;
    }
    return layout.default_partition;
}

} // namespace

Blueprint read_blueprint(pg::Spi &spi, const PartitionSet &set, const Layout &layout)
{
    return read_blueprint(spi, set.table().relid, newest_plain_partition(layout));
}

Blueprint read_blueprint(pg::Spi &spi, Oid parent, Oid storage_model)
{
    Blueprint blueprint;
    pg::Rows row = spi.run(storage, {pg::oid_param(parent), pg::oid_param(storage_model)});
    blueprint.create_head = row.text(0, 2) == "u" ? "CREATE UNLOGGED TABLE " : "CREATE TABLE ";
    blueprint.create_tail = ")" + row.text(0, 1);
    blueprint.replica_identity = row.text(0, 3)[0];
    blueprint.default_privileges = row.boolean(0, 4);
    blueprint.statistics_targets = row.boolean(0, 5);
    for (const char *sql : {privileges, column_settings})
        add_statements(spi, sql, parent, blueprint.dress);
    blueprint.row_security = read_row_security(spi, parent);
    pg::Rows related =
        spi.run("SELECT DISTINCT CASE conrelid WHEN $1 THEN confrelid ELSE conrelid END AS other"
                " FROM pg_catalog.pg_constraint"
                " WHERE (conrelid = $1 OR confrelid = $1) AND contype = 'f' AND confrelid <> conrelid"
                " ORDER BY other",
                {pg::oid_param(parent)});
    for (std::size_t i = 0; i < related.size(); ++i)
        blueprint.related.push_back(related.oid(i, 1));
    return blueprint;
}

std::string new_partition_name(Oid parent, const std::string &suffix)
{
    const std::string base = pg::relation_name(parent);
    const Oid schema = pg::guarded([=] { return get_rel_namespace(parent); });
    // A table needs its name among the types, too.
    auto is_taken = [=](const char *name) {
        return OidIsValid(get_relname_relid(name, schema)) ||
               SearchSysCacheExists2(TYPENAMENSP, PointerGetDatum(name), ObjectIdGetDatum(schema));
    };
    for (int number = 1;; ++number) {
        std::string name =
            pg::name_with_suffix(base, number == 1 ? suffix : suffix + "_" + std::to_string(number));
        const char *text = name.c_str();
        if (!pg::guarded([=] { return is_taken(text); }))
            return name;
    }
}

namespace
{

// The clones of extended statistics were made in the order of the originals, without their targets.
void set_statistics_targets(pg::Spi &spi, Oid parent, Oid relid)
{
    pg::Rows rows = spi.run("SELECT 'ALTER STATISTICS ' || quote_ident(s.nspname::text) || '.' ||"
                            " quote_ident(c.stxname::text) || ' SET STATISTICS ' || p.stxstattarget"
                            " FROM (SELECT stxstattarget, row_number() OVER (ORDER BY oid) AS number"
                            "       FROM pg_catalog.pg_statistic_ext WHERE stxrelid = $1) p"
                            " JOIN (SELECT stxname, stxnamespace, row_number() OVER (ORDER BY oid) AS number"
                            "       FROM pg_catalog.pg_statistic_ext WHERE stxrelid = $2) c USING (number)"
                            " JOIN pg_catalog.pg_namespace s ON s.oid = c.stxnamespace"
                            " WHERE p.stxstattarget >= 0",
                            {pg::oid_param(parent), pg::oid_param(relid)});
    for (std::size_t row = 0; row < rows.size(); ++row)
        spi.run(rows.text(row, 1));
}

Oid relid_of(Oid parent, const std::string &name)
{
    const char *text = name.c_str();
    return pg::guarded([=] { return get_relname_relid(text, get_rel_namespace(parent)); });
}

void set_replica_identity(pg::Spi &spi, const Blueprint &blueprint, Oid parent, Oid relid,
                          const std::string &partition)
{
    if (blueprint.replica_identity == 'f')
        spi.run("ALTER TABLE " + partition + " REPLICA IDENTITY FULL");
    if (blueprint.replica_identity == 'n')
        spi.run("ALTER TABLE " + partition + " REPLICA IDENTITY NOTHING");
    if (blueprint.replica_identity != 'i')
        return;
    pg::Rows rows = spi.run("SELECT c.relname::text FROM pg_catalog.pg_index p"
                            " JOIN pg_catalog.pg_inherits h ON h.inhparent = p.indexrelid"
                            " JOIN pg_catalog.pg_index i ON i.indexrelid = h.inhrelid AND i.indrelid = $2"
                            " JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
                            " WHERE p.indrelid = $1 AND p.indisreplident",
                            {pg::oid_param(parent), pg::oid_param(relid)});
    if (!rows.empty())
        spi.run("ALTER TABLE " + partition + " REPLICA IDENTITY USING INDEX " + pg::quote(rows.text(0, 1)));
}

} // namespace

Oid create_table(pg::Spi &spi, Oid parent, const Blueprint &blueprint, const std::string &name,
                 WithIndexes indexes)
{
    const std::string partition = pg::quote(pg::schema_name(parent), name);
    spi.run(blueprint.create_head + partition + " (LIKE " + pg::qualified_name(parent) +
            " INCLUDING ALL EXCLUDING IDENTITY" + (indexes == WithIndexes::no ? " EXCLUDING INDEXES" : "") +
            blueprint.create_tail);
    const Oid relid = relid_of(parent, name);
    if (blueprint.default_privileges)
        pg::undo_default_privileges(spi, relid);
    for (const Statement &statement : blueprint.dress)
        spi.run(statement.about(partition));
    secure_rows(spi, blueprint.row_security, parent, relid);
    if (blueprint.statistics_targets)
        set_statistics_targets(spi, parent, relid);
    return relid;
}

std::string bounds_clause(const KeyAxis &key, const Cell &bounds)
{
    auto bound = [&](std::int64_t at) {
        const std::string text = key.text_of(at);
        return at == axis_min || at == axis_max ? text : pg::quote_text(text);
    };
    return "FOR VALUES FROM (" + bound(bounds.lower) + ") TO (" + bound(bounds.upper) + ")";
}

void attach_table(pg::Spi &spi, const PartitionSet &set, const Blueprint &blueprint, Oid relid,
                  const std::optional<Cell> &bounds)
{
    attach_table(spi, set.table().relid, blueprint, relid,
                 bounds ? bounds_clause(set.key(), *bounds) : "DEFAULT");
}

void attach_table(pg::Spi &spi, Oid parent, const Blueprint &blueprint, Oid relid, const std::string &bounds)
{
    const std::string partition = pg::qualified_name(relid);
    spi.run("ALTER TABLE " + pg::qualified_name(parent) + " ATTACH PARTITION " + partition + " " + bounds);
    set_replica_identity(spi, blueprint, parent, relid, partition);
}

} // namespace privacy_scan::partition
