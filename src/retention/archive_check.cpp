// See archive_check.hpp. The ledger is read before the archive and again after it: where it is the same, no
// batch was committed in between, and the archive as it was read is what the ledger adds up to.
#include "pg/postgres.hpp"

#include "retention/archive_check.hpp"

#include "pg/ident.hpp"
#include "pg/owner.hpp"
#include "pg/subxact.hpp"
#include "retention/archive_total.hpp"

namespace privacy_scan::retention
{

namespace
{

constexpr int most_attempts = 3;

std::vector<ArchiveCheck> archives_to_check(pg::Spi &spi, std::optional<std::int64_t> id)
{
    const Oid caller = GetUserId();
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT DISTINCT a.target, a.leaf, pg_has_role($2, coalesce(r.relowner, 10::oid), 'USAGE'),"
                " EXISTS (SELECT FROM privacy_scan.archive_file_ledger f"
                "  WHERE f.target = a.target AND f.leaf = a.leaf AND f.removed_at IS NOT NULL)"
                " FROM privacy_scan.archive_ledger a LEFT JOIN pg_catalog.pg_class r ON r.oid = a.relation"
                " WHERE a.action <> 'discard' AND ($1 IS NULL OR a.id = $1) ORDER BY a.target, a.leaf",
                {id ? pg::int8_param(*id) : pg::null_param(INT8OID), pg::oid_param(caller)});
    if (id && rows.empty())
        pg::fail(ERRCODE_UNDEFINED_OBJECT, "there is no archive " + std::to_string(*id), {},
                 "The view privacy_scan.archives shows them.");
    std::vector<ArchiveCheck> checks;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (rows.boolean(row, 3) && rows.boolean(row, 4))
            continue; // it is a file now
        if (rows.boolean(row, 3))
            checks.push_back({rows.text(row, 1), rows.text(row, 2), 0, {}, {}, {}});
        else if (id)
            pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                     "must be owner of the relation that " + rows.text(row, 1) + " is the archive of");
    }
    return checks;
}

void judge(ArchiveCheck &check, const RowTotal &expected, const RowTotal &found)
{
    check.found_rows = found.rows;
    check.state = same_rows(expected, found) ? "ok" : "DIFFERENT";
    if (check.state != "ok")
        check.detail = found.rows != expected.rows ? "it has another number of rows"
                                                   : "its rows have digest " + hex_of(found.digest) +
                                                         " instead of " + hex_of(expected.digest);
}

// Of a partition that wasn't counted yet: what was found becomes its entry. False where the ledger has changed meanwhile.
bool look_first(pg::Spi &spi, ArchiveCheck &check, const LedgerTotal &before, const RowTotal &found)
{
    bool is_proven = false;
    const auto failure = pg::try_in_subtransaction(
        [&] { is_proven = prove(spi, check.archive, check.leaf, before, found); });
    if (failure) {
        check.state = "changing";
        check.detail = failure->sqlstate + ": " + failure->message;
        return true;
    }
    const RowTotal expected = before.total + (found - before.after);
    check.rows = expected.rows;
    judge(check, expected, found);
    return is_proven;
}

void look(pg::Spi &spi, ArchiveCheck &check)
{
    for (int attempt = 1; attempt <= most_attempts; ++attempt) {
        const LedgerTotal before = read_ledger(spi, check.archive, check.leaf);
        check.rows = before.unproven ? 0 : before.total.rows;
        const Oid relid = archive_relation(spi, check.archive, check.leaf);
        if (!OidIsValid(relid)) {
            check.state = before.total.rows == 0 && !before.unproven && !before.is_lost ? "ok" : "MISSING";
            check.detail = "there is no such relation";
            return;
        }
        RowTotal found{};
        if (auto failure = pg::try_in_subtransaction([&] { found = read_archive(spi, relid); })) {
            check.state = "UNREADABLE";
            check.detail = failure->sqlstate + ": " + failure->message;
            return;
        }
        if (before.is_lost) {
            check.state = "DIFFERENT";
            check.detail = "another table of this name was lost before its rows were counted";
            return;
        }
        if (before.unproven) {
            if (look_first(spi, check, before, found))
                return;
            continue;
        }
        judge(check, before.total, found);
        if (check.state == "ok" || read_ledger(spi, check.archive, check.leaf).entries == before.entries)
            return;
    }
    check.state = "changing";
    check.detail = "batches were committed while it was read";
}

void note(pg::Spi &spi, const ArchiveCheck &check)
{
    pg::CatalogScope scope;
    spi.run(
        "INSERT INTO privacy_scan.archive_checks AS c (target, leaf, state, since, checked_at, detail)"
        " VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp(), $4) ON CONFLICT (target, leaf) DO UPDATE"
        " SET state = $3, checked_at = clock_timestamp(), detail = $4,"
        "  since = CASE WHEN c.state = $3 THEN c.since ELSE clock_timestamp() END",
        {pg::text_param(check.archive), pg::text_param(check.leaf), pg::text_param(check.state),
         pg::text_or_null(check.detail)});
}

} // namespace

std::vector<ArchiveCheck> check_archives(pg::Spi &spi, std::optional<std::int64_t> id)
{
    std::vector<ArchiveCheck> checks = archives_to_check(spi, id);
    for (ArchiveCheck &check : checks) {
        look(spi, check);
        note(spi, check);
    }
    return checks;
}

} // namespace privacy_scan::retention
