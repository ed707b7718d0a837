// See new_parent.hpp.
#include "pg/postgres.hpp"

#include "adopt/new_parent.hpp"

#include "partition/partition_create.hpp"
#include "pg/guc.hpp"
#include "pg/ident.hpp"
#include "settings/settings.hpp"
#include "unique/unique_check.hpp"

namespace privacy_scan::adopt
{

namespace
{

std::string columns_of_key(const Candidate &candidate)
{
    std::string list;
    for (const std::string &column : candidate.primary_key)
        list += pg::quote(column) + ", ";
    if (!candidate.primary_has_key)
        list += pg::quote(candidate.key) + ", ";
    return "(" + list.substr(0, list.size() - 2) + ")";
}

Oid make_bare_parent(pg::Spi &spi, const Candidate &candidate)
{
    partition::Blueprint blueprint = partition::read_blueprint(spi, candidate.table.relid, InvalidOid);
    blueprint.create_tail =
        ") PARTITION BY RANGE (" + pg::quote(candidate.key) + ")" + blueprint.create_tail.substr(1);
    const std::string name = partition::new_partition_name(candidate.table.relid, "_adoption");
    const Oid parent =
        partition::create_table(spi, candidate.table.relid, blueprint, name, partition::WithIndexes::no);
    spi.run("ALTER TABLE " + pg::qualified_name(parent) + " DROP CONSTRAINT " + check_name +
            ", ALTER COLUMN " + pg::quote(candidate.key) + " SET NOT NULL");
    return parent;
}

// A name of an index, free in its schema, for the old table.
std::string side_index_name(const Candidate &candidate, const std::string &index, const std::string &suffix,
                            pg::Spi &spi)
{
    for (int number = 1;; ++number) {
        const std::string name =
            pg::name_with_suffix(index, number == 1 ? suffix : suffix + "_" + std::to_string(number));
        if (spi.run("SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
                    "c.relnamespace"
                    " WHERE n.nspname = $1::name AND c.relname = $2::name",
                    {pg::text_param(candidate.schema), pg::text_param(name)})
                .empty())
            return name;
    }
}

// $1 the table, $2 the parent's qualified name. Name; whether the primary key; the statement that makes the
// parent's; its tablespace. The definition begins with what is known, or nothing is made.
constexpr const char *indexes =
    "SELECT x.relname::text, i.indisprimary, CASE WHEN c.oid IS NOT NULL"
    "  THEN format('ALTER TABLE %s ADD CONSTRAINT %I %s', $2, x.relname, pg_get_constraintdef(c.oid))"
    "  ELSE (SELECT CASE WHEN starts_with(pg_get_indexdef(x.oid), known)"
    "    THEN format('CREATE %sINDEX %I ON %s USING ', u, x.relname, $2) || substr(pg_get_indexdef(x.oid), "
    "length(known) + 1) END"
    "   FROM (SELECT u, format('CREATE %sINDEX %I ON %I.%I USING ', u, x.relname, n.nspname, t.relname) AS "
    "known"
    "    FROM (VALUES (CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END)) AS v (u)) AS k) END,"
    " coalesce(s.spcname::text, '')"
    " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
    " JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = "
    "t.relnamespace"
    " LEFT JOIN pg_catalog.pg_constraint c ON c.conindid = x.oid AND c.conrelid = $1 AND c.contype IN ('p', "
    "'u')"
    " LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = x.reltablespace"
    " WHERE i.indrelid = $1 AND NOT starts_with(x.relname::text, 'privacy_scan_adoption_') ORDER BY x.oid";

void make_indexes(pg::Spi &spi, const Candidate &candidate, const std::string &suffix, NewParent &parent)
{
    pg::Rows rows =
        spi.run(indexes, {pg::oid_param(candidate.table.relid), pg::text_param(parent.side_name)});
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const std::string name = rows.text(row, 1), side = side_index_name(candidate, name, suffix, spi);
        std::string sql = rows.text(row, 3);
        if (rows.boolean(row, 2)) {
            sql = "ALTER TABLE " + parent.side_name + " ADD CONSTRAINT " + pg::quote(name) + " PRIMARY KEY " +
                  columns_of_key(candidate) + candidate.primary_tail;
            parent.wide_primary = side;
        }
        if (sql.empty())
            pg::fail(ERRCODE_INTERNAL_ERROR, "definition of index \"" + name + "\" is not understood");
        spi.run("ALTER INDEX " + pg::quote(candidate.schema, name) + " RENAME TO " + pg::quote(side));
        pg::GucScope settings;
        settings.set("default_tablespace", rows.text(row, 4).c_str());
        spi.run(sql);
    }
}

// $1 the table, $2 the parent's qualified name: no row where it is the default one.
constexpr const char *replica_identity =
    "SELECT format('ALTER TABLE %s REPLICA IDENTITY %s', $2, CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN "
    "'n' THEN 'NOTHING'"
    "  ELSE (SELECT format('USING INDEX %I', x.relname) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x"
    "   ON x.oid = i.indexrelid WHERE i.indrelid = $1 AND i.indisreplident) END)"
    " FROM pg_catalog.pg_class c WHERE c.oid = $1 AND c.relreplident <> 'd'";

// Those of the parent were made in the order of the table's, under names of PostgreSQL's choice.
void name_statistics(pg::Spi &spi, const Candidate &candidate, Oid parent, const std::string &suffix)
{
    pg::Rows rows = spi.run(
        "SELECT o.stxname::text, p.stxname::text FROM"
        " (SELECT stxname, row_number() OVER (ORDER BY oid) AS number FROM pg_catalog.pg_statistic_ext WHERE "
        "stxrelid = $1) o"
        " JOIN (SELECT stxname, row_number() OVER (ORDER BY oid) AS number FROM pg_catalog.pg_statistic_ext"
        "  WHERE stxrelid = $2) p USING (number)",
        {pg::oid_param(candidate.table.relid), pg::oid_param(parent)});
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const std::string name = rows.text(row, 1);
        spi.run("ALTER STATISTICS " + pg::quote(candidate.schema, name) + " RENAME TO " +
                pg::quote(pg::name_with_suffix(name, suffix)));
        spi.run("ALTER STATISTICS " + pg::quote(candidate.schema, rows.text(row, 2)) + " RENAME TO " +
                pg::quote(name));
    }
}

void make_partitions(pg::Spi &spi, const Candidate &candidate, const Scheme &scheme, std::int64_t cutover,
                     NewParent &parent)
{
    partition::Policy policy = scheme.policy;
    policy.relid = parent.relid;
    const partition::PartitionSet set({parent.relid, candidate.table.owner}, policy);
    const partition::Blueprint blueprint =
        partition::read_blueprint(spi, parent.relid, candidate.table.relid);
    auto make = [&](const std::optional<partition::Cell> &bounds, const std::string &suffix) {
        const Oid relid = partition::create_table(
            spi, parent.relid, blueprint, partition::new_partition_name(candidate.table.relid, suffix),
            partition::WithIndexes::yes);
        partition::attach_table(spi, set, blueprint, relid, bounds);
        ++parent.partitions;
    };
    const std::int64_t end = partition::step_cells(*scheme.grid, cutover, policy.premake);
    const auto most = static_cast<std::size_t>(settings::partition_max_created());
    for (const partition::Cell &cell : partition::missing_pieces(*scheme.grid, {}, cutover, end, most))
        make(cell, scheme.grid->suffix(cell.lower));
    if (policy.default_partition)
        make(std::nullopt, "_default");
}

void read_foreign_keys(pg::Spi &spi, const Candidate &candidate, NewParent &parent)
{
    pg::Rows rows = spi.run(
        "SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', $2, conname, pg_get_constraintdef(oid)),"
        " confrelid FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND contype = 'f' AND conparentid = 0 "
        "ORDER BY confrelid, "
        "oid",
        {pg::oid_param(candidate.table.relid), pg::text_param(parent.side_name)});
    for (std::size_t row = 0; row < rows.size(); ++row) {
        parent.foreign_keys.push_back(rows.text(row, 1));
        parent.referenced.push_back(rows.oid(row, 2));
    }
}

std::string suffix_until(const Scheme &scheme, std::int64_t cutover)
{
    return "_until" + scheme.grid->suffix(cutover);
}

} // namespace

std::string wide_name(const Candidate &candidate, const Scheme &scheme, std::int64_t cutover)
{
    return partition::new_partition_name(candidate.table.relid, suffix_until(scheme, cutover));
}

NewParent make_parent(pg::Spi &spi, const Candidate &candidate, const Scheme &scheme, std::int64_t cutover,
                      bool unique_id)
{
    NewParent parent{};
    parent.relid = make_bare_parent(spi, candidate);
    parent.side_name = pg::qualified_name(parent.relid);
    parent.wide_name = wide_name(candidate, scheme, cutover);
    const std::string suffix = suffix_until(scheme, cutover);
    const pg::Rows identity =
        spi.run(replica_identity, {pg::oid_param(candidate.table.relid), pg::text_param(parent.side_name)});
    make_indexes(spi, candidate, suffix, parent);
    if (!identity.empty()) // before there are partitions, which take after it
        spi.run(identity.text(0, 1));
    name_statistics(spi, candidate, parent.relid, suffix);
    if (unique_id && candidate.needs_index()) // proven so far by the primary key
        unique::create_check(spi, parent.relid, candidate.primary_key, candidate.table.relid);
    make_partitions(spi, candidate, scheme, cutover, parent);
    read_foreign_keys(spi, candidate, parent);
    return parent;
}

} // namespace privacy_scan::adopt
