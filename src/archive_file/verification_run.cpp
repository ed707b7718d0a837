// See verification_run.hpp.
#include "pg/postgres.hpp"

#include "archive_file/verification_run.hpp"

#include "archive_file/file_check.hpp"
#include "pg/owner.hpp"
#include "retention/archive_check.hpp"
#include "settings/settings.hpp"

namespace privacy_scan::archive_file
{

namespace
{

// $1 how many. Archives of which nothing is left, by the ledger, and no table, are no archives any more.
constexpr const char *sample =
    "WITH archive AS (SELECT id, target, leaf FROM privacy_scan.archive_balances"
    "  WHERE rows IS DISTINCT FROM 0 OR to_regclass(CASE leaf WHEN '' THEN target ELSE leaf END) IS NOT NULL),"
    " looked AS (SELECT a.id, coalesce((f.removed_at IS NULL AND c.state NOT IN ('ok', 'changing'))"
    "   OR f.state <> 'ok', false) AS is_damaged,"
    "   CASE WHEN f.removed_at IS NULL THEN c.checked_at ELSE f.checked_at END AS checked_at"
    "  FROM archive a LEFT JOIN privacy_scan.archive_checks c ON c.target = a.target AND c.leaf = a.leaf"
    "  LEFT JOIN privacy_scan.archive_file_ledger f ON f.target = a.target AND f.leaf = a.leaf)"
    " (SELECT id FROM looked WHERE is_damaged ORDER BY id)"
    " UNION ALL (SELECT id FROM looked WHERE NOT is_damaged ORDER BY checked_at NULLS FIRST, id LIMIT $1)";

} // namespace

VerificationRun::VerificationRun(pg::Spi &spi)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(sample, {pg::int8_param(settings::archive_sample())});
    for (std::size_t row = 0; row < rows.size(); ++row)
        ids_.push_back(rows.int8(row, 1));
}

void VerificationRun::judge(const std::string &archive, const std::string &leaf, const std::string &state)
{
    if (state != "ok" && state != "changing")
        damaged_.push_back((leaf.empty() ? archive : leaf) + " is " + state);
}

void VerificationRun::step(pg::Spi &spi)
{
    const std::int64_t id = ids_[next_++];
    for (const retention::ArchiveCheck &check : retention::check_archives(spi, id)) {
        rows_ += check.rows;
        judge(check.archive, check.leaf, check.state);
    }
    for (const FileCheck &check : check_files(spi, id)) {
        rows_ += check.rows;
        judge(check.archive, "the file of " + check.leaf, check.state);
    }
}

std::optional<pg::ErrorText> VerificationRun::failure() const
{
    if (damaged_.empty())
        return std::nullopt;
    constexpr std::size_t most_named = 3;
    std::string names;
    for (std::size_t i = 0; i < std::min(damaged_.size(), most_named); ++i)
        names += (i ? ", " : "") + damaged_[i];
    return pg::text_of(pg::Error{ERRCODE_DATA_CORRUPTED,
                                 "not all archives are as the ledger says: " + names +
                                     (damaged_.size() > most_named ? ", ..." : ""),
                                 {},
                                 "The view privacy_scan.archives shows them, check_archives() looks again."});
}

} // namespace privacy_scan::archive_file
