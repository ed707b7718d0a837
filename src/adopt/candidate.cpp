// See candidate.hpp.
#include "pg/postgres.hpp"

#include "adopt/candidate.hpp"

#include "partition/id_value.hpp"
#include "partition/key_detect.hpp"
#include "pg/guc.hpp"
#include "pg/ident.hpp"

extern "C" {
#include <catalog/pg_class.h>
}

namespace privacy_scan::adopt
{

namespace
{

// $1 the table. Columns that hold a time or may hold ids, generated ones left out, which no key may be.
constexpr const char *key_columns =
    "SELECT a.attname::text, a.attnotnull, a.atthasdef,"
    " coalesce(a.attnum = ANY (i.indkey::pg_catalog.int2[]), false), a.attnum::int4, a.atttypid, "
    "a.attcollation,"
    " a.atttypid NOT IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype),"
    " coalesce(i.indnkeyatts = 1 AND a.attnum = i.indkey[0], false),"
    " (SELECT count(*) FROM pg_catalog.pg_constraint c WHERE c.confrelid = $1 AND c.contype = 'f')"
    " FROM pg_catalog.pg_attribute a"
    " LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary"
    " WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"
    " AND a.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'text'::regtype,"
    "  'varchar'::regtype, 'uuid'::regtype, 'int8'::regtype) ORDER BY a.attnum";

constexpr std::int32_t sample_rows = 1000;

// The sample is read as the owner.
std::vector<partition::KindFinding> detect(pg::Spi &spi, const pg::OwnedTable &table,
                                           const std::string &column, Oid type)
{
    pg::OwnerScope owner(table.owner);
    return partition::detect_key_kinds(spi, table.relid, column, type, sample_rows);
}

bool sorts_by_time(const std::string &kind, Oid type, Oid collation)
{
    return partition::sorts_as_bytes(collation, partition::open_key_kind(kind, type)->alphabet());
}

IdFacts read_id_facts(pg::Spi &spi, const pg::OwnedTable &table, const pg::Rows &rows, std::size_t row)
{
    IdFacts facts{{}, 0, rows.boolean(row, 9), true, rows.int8(row, 10)};
    if (!facts.is_primary_key) // would not be recommended
        return facts;
    const Oid type = rows.oid(row, 6);
    const auto findings = detect(spi, table, rows.text(row, 1), type);
    if (findings.empty())
        return facts;
    facts.kind = findings.front().kind;
    facts.share = findings.front().share;
    facts.sorts_by_time = sorts_by_time(facts.kind, type, rows.oid(row, 7));
    return facts;
}

constexpr const char *what_a_key_is =
    "The key is a column of type timestamp, timestamptz or date, or of ids that carry time (text, varchar, "
    "uuid, bigint), that isn't generated.";

void take_column(Candidate &candidate, const pg::Rows &rows, std::size_t row)
{
    candidate.key = rows.text(row, 1);
    candidate.key_number = static_cast<AttrNumber>(rows.int4(row, 5));
    candidate.key_type = rows.oid(row, 6);
    candidate.key_collation = rows.oid(row, 7);
}

// A kind that is named is taken at the caller's word; else the sample has to say it of nearly all ids.
void take_kind(pg::Spi &spi, Candidate &candidate, const std::string &kind)
{
    candidate.key_reason = "It was asked for.";
    candidate.key_kind = kind;
    if (kind.empty()) {
        const auto findings = detect(spi, candidate.table, candidate.key, candidate.key_type);
        if (findings.empty() || findings.front().share < least_share)
            pg::fail(ERRCODE_INVALID_TABLE_DEFINITION,
                     "column \"" + candidate.key + "\" of relation \"" + candidate.relname +
                         "\" cannot be the partition key",
                     findings.empty() ? "No id of a sample carries its time, in any known way."
                                      : "Too few ids of a sample carry their time: " +
                                            std::to_string(static_cast<int>(findings.front().share * 100)) +
                                            " % are of kind " + findings.front().kind + ".",
                     "Name key_kind to take it all the same, or take another key.");
        candidate.key_kind = findings.front().kind;
        candidate.key_reason += " " + std::to_string(static_cast<int>(findings.front().share * 100)) +
                                " % of the ids in a sample carry their time (" + candidate.key_kind + ").";
    }
    candidate.key_kind = partition::open_key_kind(candidate.key_kind, candidate.key_type)->name();
    candidate.key_sorts_by_time =
        sorts_by_time(candidate.key_kind, candidate.key_type, candidate.key_collation);
}

bool has_column(pg::Spi &spi, Oid relid, const std::string &name)
{
    return !spi.run("SELECT FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attname = $2::name"
                    " AND attnum > 0 AND NOT attisdropped",
                    {pg::oid_param(relid), pg::text_param(name)})
                .empty();
}

void take_wish(pg::Spi &spi, Candidate &candidate, const pg::Rows &rows, const KeyWish &wish)
{
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (rows.text(row, 1) != wish.column)
            continue;
        take_column(candidate, rows, row);
        candidate.key_reason = "It was asked for.";
        if (rows.boolean(row, 8) || !wish.kind.empty())
            take_kind(spi, candidate, wish.kind);
        return;
    }
    const std::string column = "column \"" + wish.column + "\" of relation \"" + candidate.relname + "\"";
    if (!has_column(spi, candidate.table.relid, wish.column))
        pg::fail(ERRCODE_UNDEFINED_COLUMN, column + " does not exist");
    pg::fail(ERRCODE_INVALID_TABLE_DEFINITION, column + " cannot be the partition key", what_a_key_is);
}

void recommend(pg::Spi &spi, Candidate &candidate, const pg::Rows &rows)
{
    std::vector<KeyChoice> choices;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        choices.push_back(
            {rows.text(row, 1), rows.boolean(row, 2), rows.boolean(row, 3), rows.boolean(row, 4), {}});
        if (rows.boolean(row, 8))
            choices.back().id = read_id_facts(spi, candidate.table, rows, row);
    }
    const std::optional<std::size_t> chosen = recommend_key(choices);
    if (!chosen)
        pg::fail(ERRCODE_INVALID_TABLE_DEFINITION,
                 "no column of relation \"" + candidate.relname + "\" can be the partition key",
                 what_a_key_is, "Add a time column with a default, fill it, and try again.");
    take_column(candidate, rows, *chosen);
    candidate.key_reason = why_key(choices, *chosen);
    if (choices[*chosen].id)
        candidate.key_kind = choices[*chosen].id->kind;
}

void choose_key(pg::Spi &spi, Candidate &candidate, const KeyWish &wish)
{
    const pg::Rows rows = spi.run(key_columns, {pg::oid_param(candidate.table.relid)});
    if (wish.column.empty() && wish.kind.empty())
        recommend(spi, candidate, rows);
    else if (wish.column.empty())
        pg::fail(ERRCODE_INVALID_PARAMETER_VALUE, "argument \"key_kind\" needs argument \"key\"");
    else
        take_wish(spi, candidate, rows, wish);
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

Candidate read_candidate(pg::Spi &spi, const pg::OwnedTable &table, const KeyWish &wish)
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
    choose_key(spi, candidate, wish);
    read_primary_key(spi, candidate);
    return candidate;
}

Scheme make_scheme(const Candidate &candidate, const partition::Policy &policy)
{
    Scheme scheme;
    scheme.policy = policy;
    scheme.policy.key = candidate.key;
    scheme.policy.key_kind = candidate.key_kind;
    partition::check_premake(policy.premake);
    scheme.zone = partition::open_zone(policy.time_zone);
    scheme.axis = std::make_unique<partition::KeyAxis>(candidate.key_type, *scheme.zone, candidate.key_kind,
                                                       candidate.key_collation);
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
