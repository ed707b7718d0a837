// See candidate.hpp.
#include "pg/postgres.hpp"

#include "adopt/candidate.hpp"

#include "pg/guc.hpp"
#include "pg/ident.hpp"

extern "C" {
#include <catalog/pg_class.h>
}

namespace privacy_scan::adopt
{

namespace
{

// $1 the table. Columns that hold a time, generated ones left out, which no key may be.
constexpr const char *time_columns =
    "SELECT a.attname::text, a.attnotnull, a.atthasdef,"
    " coalesce(a.attnum = ANY (i.indkey::pg_catalog.int2[]), false), a.attnum::int4, a.atttypid"
    " FROM pg_catalog.pg_attribute a"
    " LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary"
    " WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"
    " AND a.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) ORDER BY a.attnum";

void take_column(Candidate &candidate, const pg::Rows &rows, std::size_t row, std::string reason)
{
    candidate.key = rows.text(row, 1);
    candidate.key_number = static_cast<AttrNumber>(rows.int4(row, 5));
    candidate.key_type = rows.oid(row, 6);
    candidate.key_reason = std::move(reason);
}

[[noreturn]] void refuse_key(const Candidate &candidate, const std::string &key)
{
    const std::string relation = "of relation \"" + candidate.relname + "\"";
    if (key.empty())
        pg::fail(ERRCODE_INVALID_TABLE_DEFINITION, "no column " + relation + " can be the partition key",
                 "The key is a column of type timestamp, timestamptz or date that isn't generated.",
                 "Add such a column with a default, fill it, and try again.");
    pg::fail(ERRCODE_INVALID_TABLE_DEFINITION,
             "column \"" + key + "\" " + relation + " cannot be the partition key",
             "The key is a column of type timestamp, timestamptz or date that isn't generated.");
}

bool has_column(pg::Spi &spi, Oid relid, const std::string &name)
{
    return !spi.run("SELECT FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attname = $2::name"
                    " AND attnum > 0 AND NOT attisdropped",
                    {pg::oid_param(relid), pg::text_param(name)})
                .empty();
}

void choose_key(pg::Spi &spi, Candidate &candidate, const std::string &key)
{
    pg::Rows rows = spi.run(time_columns, {pg::oid_param(candidate.table.relid)});
    std::vector<KeyChoice> choices;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        choices.push_back(
            {rows.text(row, 1), rows.boolean(row, 2), rows.boolean(row, 3), rows.boolean(row, 4)});
        if (!key.empty() && choices.back().name == key)
            return take_column(candidate, rows, row, "It was asked for.");
    }
    if (!key.empty() && !has_column(spi, candidate.table.relid, key))
        pg::fail(ERRCODE_UNDEFINED_COLUMN,
                 "column \"" + key + "\" of relation \"" + candidate.relname + "\" does not exist");
    const std::optional<std::size_t> chosen = key.empty() ? recommend_key(choices) : std::nullopt;
    if (!chosen)
        refuse_key(candidate, key);
    take_column(candidate, rows, *chosen, why_key(choices, *chosen));
}

void read_primary_key(pg::Spi &spi, Candidate &candidate)
{
    pg::Rows rows =
        spi.run("SELECT c.conname::text, a.attname::text, a.attnum = $2,"
                " CASE WHEN c.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN c.condeferrable THEN ' "
                "DEFERRABLE'"
                " ELSE '' END"
                " FROM pg_catalog.pg_constraint c, unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)"
                " JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = k.attnum"
                " WHERE c.conrelid = $1 AND c.contype = 'p' ORDER BY k.place",
                {pg::oid_param(candidate.table.relid),
                 pg::datum_param(INT2OID, Int16GetDatum(candidate.key_number))});
    for (std::size_t row = 0; row < rows.size(); ++row) {
        candidate.primary_name = rows.text(row, 1);
        candidate.primary_key.push_back(rows.text(row, 2));
        candidate.primary_has_key |= rows.boolean(row, 3);
        candidate.primary_tail = rows.text(row, 4);
    }
}

} // namespace

Candidate read_candidate(pg::Spi &spi, const pg::OwnedTable &table, const std::string &key)
{
    pg::CatalogPath path;
    Candidate candidate;
    candidate.table = table;
    candidate.relname = pg::relation_name(table.relid);
    candidate.schema = pg::schema_name(table.relid);
    candidate.name = pg::qualified_name(table.relid);
    pg::Rows row = spi.run("SELECT relkind = 'r', relkind = 'p', pg_relation_size(oid)::float8"
                           " FROM pg_catalog.pg_class WHERE oid = $1",
                           {pg::oid_param(table.relid)});
    if (!row.boolean(0, 1))
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, "cannot adopt relation \"" + candidate.relname + "\"",
                 row.boolean(0, 2) ? "It is partitioned already." : "It is not an ordinary table.",
                 row.boolean(0, 2) ? "Call privacy_scan.manage_partitions()." : "");
    candidate.heap_bytes = row.float8(0, 3);
    choose_key(spi, candidate, key);
    read_primary_key(spi, candidate);
    return candidate;
}

Scheme make_scheme(const Candidate &candidate, const partition::Policy &policy)
{
    Scheme scheme;
    scheme.policy = policy;
    scheme.policy.key = candidate.key;
    partition::check_premake(policy.premake);
    scheme.zone = partition::open_zone(policy.time_zone);
    scheme.axis = std::make_unique<partition::KeyAxis>(candidate.key_type, *scheme.zone);
    scheme.grid = partition::make_grid(*scheme.axis, policy);
    return scheme;
}

Progress read_progress(pg::Spi &spi, const Candidate &candidate, const std::string &cutover)
{
    pg::GucScope settings; // the bound is compared as text
    for (auto [name, value] :
         {std::pair("search_path", "pg_catalog, pg_temp"), {"DateStyle", "ISO, YMD"}, {"TimeZone", "UTC"}})
        settings.set(name, value);
    Progress progress;
    pg::Rows index = spi.run(
        "SELECT x.relname::text, i.indisvalid AND i.indisready AND i.indisunique AND i.indpred IS NULL"
        " AND i.indnkeyatts = i.indnatts"
        " AND array_to_string(i.indkey::pg_catalog.int2[], ' ') = array_to_string(c.conkey || $2, ' ')"
        " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
        " JOIN pg_catalog.pg_constraint c ON c.conrelid = i.indrelid AND c.contype = 'p'"
        " WHERE i.indrelid = $1 AND starts_with(x.relname::text, $3) AND NOT i.indisprimary ORDER BY 2 DESC",
        {pg::oid_param(candidate.table.relid), pg::datum_param(INT2OID, Int16GetDatum(candidate.key_number)),
         pg::text_param(index_prefix)});
    if (!index.empty()) {
        progress.index = index.text(0, 1);
        progress.index_valid = index.boolean(0, 2);
    }
    pg::Rows check =
        spi.run("SELECT convalidated AND position($3 IN pg_get_constraintdef(oid)) > 0"
                " FROM pg_catalog.pg_constraint"
                " WHERE conrelid = $1 AND contype = 'c' AND conname = $2::name",
                {pg::oid_param(candidate.table.relid), pg::text_param(check_name), pg::text_param(cutover)});
    progress.check_exists = !check.empty();
    progress.check_valid = progress.check_exists && check.boolean(0, 1);
    return progress;
}

} // namespace privacy_scan::adopt
