// See drill.hpp.
#include "pg/postgres.hpp"

#include "archive_file/drill.hpp"

#include "archive_file/file_check.hpp"
#include "archive_file/file_restore.hpp"
#include "pg/clock.hpp"
#include "pg/ident.hpp"
#include "pg/privileges.hpp"
#include "pg/subxact.hpp"
#include "retention/archive_total.hpp"
#include "settings/settings.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace privacy_scan::archive_file
{

namespace
{

constexpr int most_attempts = 3;

// $1 the largest size in bytes; 0: any.
constexpr const char *turns =
    "WITH archive AS (SELECT id, target, leaf FROM privacy_scan.archive_balances"
    "  WHERE rows > 0 AND ($1 = 0 OR bytes <= $1)),"
    " drilled AS (SELECT a.id, l.drilled_at, coalesce(l.state NOT IN ('ok', 'changing'), false) AS has_failed"
    "  FROM archive a LEFT JOIN LATERAL (SELECT d.drilled_at, d.state FROM privacy_scan.archive_drill_log d"
    "   WHERE d.target = a.target AND d.leaf = a.leaf ORDER BY d.id DESC LIMIT 1) l ON true)"
    " (SELECT id FROM drilled WHERE has_failed ORDER BY id)"
    " UNION ALL (SELECT id FROM drilled WHERE NOT has_failed ORDER BY drilled_at NULLS FIRST, id LIMIT 1)";

// A table with the columns of another, for this transaction. As the owner.
class Scratch
{
  public:
    Scratch(pg::Spi &spi, Oid like, std::int64_t id)
        : name_(pg::quote(pg::schema_name(like),
                          pg::name_with_suffix(pg::relation_name(like), "_drill_" + std::to_string(id))))
    {
        spi.run("CREATE UNLOGGED TABLE " + name_ + " (LIKE " + pg::qualified_name(like) + ")");
        relid_ = relation_named(spi, name_);
        pg::undo_default_privileges(spi, relid_);
    }

    const std::string &name() const { return name_; }
    Oid relid() const { return relid_; }
    void drop(pg::Spi &spi) { spi.run("DROP TABLE " + name_); }

  private:
    std::string name_;
    Oid relid_ = InvalidOid;
};

pg::OwnedTable require_archive(pg::Spi &spi, const std::string &name)
{
    const Oid relid = relation_named(spi, name);
    if (!OidIsValid(relid))
        pg::fail(ERRCODE_UNDEFINED_TABLE, "there is no relation " + name);
    return pg::require_owner(relid);
}

retention::RowTotal restore_from_table(pg::Spi &spi, const Entry &entry)
{
    const pg::OwnedTable table = require_archive(spi, entry.leaf.empty() ? entry.target : entry.leaf);
    pg::lock_owned(table, AccessShareLock);
    const Oid relid = table.relid;
    const bool has_partitions =
        pg::guarded([=] { return get_rel_relkind(relid); }) == RELKIND_PARTITIONED_TABLE;
    pg::OwnerScope owner(table.owner);
    Scratch scratch(spi, relid, entry.id);
    spi.run("INSERT INTO " + scratch.name() + " SELECT * FROM " + (has_partitions ? "" : "ONLY ") +
            pg::qualified_name(relid));
    const retention::RowTotal total = retention::total_of(spi, scratch.name());
    scratch.drop(spi);
    return total;
}

retention::RowTotal restore_from_file(pg::Spi &spi, const Entry &entry, const ListedFile &file)
{
    const pg::OwnedTable archive = require_archive(spi, entry.target);
    require_intact(file);
    require_erased(file);
    pg::OwnerScope owner(archive.owner);
    Scratch scratch(spi, archive.relid, entry.id);
    fill_from_file(spi, scratch.relid(), file);
    const retention::RowTotal total = retention::total_of(spi, scratch.name());
    scratch.drop(spi);
    return total;
}

const char *state_of(const pg::ErrorText &failure)
{
    const std::string &code = failure.sqlstate;
    return code == "55P03" || code == "40P01"   ? "changing"
           : code == "58P01" || code == "42P01" ? "MISSING"
           : code == "XX001" || code == "55000" ? "DIFFERENT"
                                                : "UNREADABLE";
}

// Brings the rows back once, and says how it went.
void attempt(pg::Spi &spi, Drill &drill, const retention::RowTotal &expected)
{
    const std::optional<ListedFile> file = find_file(spi, drill.entry);
    const bool is_file = file && (file->is_removed || retention::same_rows(file->total, expected));
    drill.place = is_file ? "file" : "table";
    retention::RowTotal found{};
    const auto failure = pg::try_in_subtransaction([&] {
        with_sql_errors([&] {
            found =
                is_file ? restore_from_file(spi, drill.entry, *file) : restore_from_table(spi, drill.entry);
        });
    });
    if (failure) {
        drill.state = state_of(*failure);
        drill.detail = failure->sqlstate + ": " + failure->message;
        return;
    }
    drill.found_rows = found.rows;
    drill.state = retention::same_rows(found, expected) ? "ok" : "DIFFERENT";
    if (drill.state != "ok")
        drill.detail = "the rows that came back have digest " + hex_of(found.digest) + " instead of " +
                       hex_of(expected.digest);
}

// Again where batches were committed meanwhile.
void bring_back(pg::Spi &spi, Drill &drill)
{
    for (int n = 1; n <= most_attempts; ++n) {
        retention::RowTotal expected{};
        if (const auto failure = pg::try_in_subtransaction(
                [&] { expected = retention::expected_rows(spi, drill.entry.target, drill.entry.leaf); })) {
            drill.place = "table";
            drill.state = state_of(*failure);
            drill.detail = failure->sqlstate + ": " + failure->message;
            return;
        }
        drill.rows = expected.rows;
        attempt(spi, drill, expected);
        if (drill.state == "ok" ||
            retention::same_rows(expected,
                                 retention::expected_rows(spi, drill.entry.target, drill.entry.leaf)))
            return;
    }
    drill.state = "changing";
    drill.detail = "batches were committed while it was brought back";
}

void note(pg::Spi &spi, const Drill &drill)
{
    pg::CatalogScope scope;
    spi.run("INSERT INTO privacy_scan.archive_drill_log"
            " (archive, target, leaf, place, rows, found_rows, state, detail, milliseconds)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            {pg::int8_param(drill.entry.id), pg::text_param(drill.entry.target),
             pg::text_param(drill.entry.leaf), pg::text_param(drill.place), pg::int8_param(drill.rows),
             drill.found_rows ? pg::int8_param(*drill.found_rows) : pg::null_param(INT8OID),
             pg::text_param(drill.state), pg::text_or_null(drill.detail), pg::float8_param(drill.ms)});
}

} // namespace

std::vector<std::int64_t> next_drills(pg::Spi &spi)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(turns, {pg::int8_param(std::int64_t{1024} * settings::archive_drill_size_kb())});
    std::vector<std::int64_t> ids;
    for (std::size_t row = 0; row < rows.size(); ++row)
        ids.push_back(rows.int8(row, 1));
    return ids;
}

Drill run_drill(pg::Spi &spi, std::int64_t id)
{
    const TimestampTz begun = GetCurrentTimestamp();
    Drill drill{require_entry(spi, id), {}, 0, {}, {}, {}, 0};
    bring_back(spi, drill);
    drill.ms = pg::ms_since(begun);
    note(spi, drill);
    return drill;
}

} // namespace privacy_scan::archive_file
