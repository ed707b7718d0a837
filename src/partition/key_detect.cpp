// See key_detect.hpp.
#include "pg/postgres.hpp"

#include "partition/key_detect.hpp"

#include "partition/id_value.hpp"
#include "pg/ident.hpp"

#include <algorithm>

extern "C" {
#include <utils/timestamp.h>
}

namespace privacy_scan::partition
{

namespace
{

struct Tally {
    std::int64_t fitting = 0;
    Instant oldest = 0, newest = 0;
};

// Pages at random, about twice as many rows as wanted; of a small table, or where that found none, the first.
pg::Rows sample(pg::Spi &spi, Oid relid, const std::string &column, std::int32_t most)
{
    const std::string from = "SELECT " + pg::quote(column) + " FROM " + pg::qualified_name(relid);
    const std::string limit = " WHERE " + pg::quote(column) + " IS NOT NULL LIMIT $1";
    const double rows =
        spi.run("SELECT sum(c.reltuples)::float8 FROM pg_catalog.pg_class c WHERE c.oid = $1 OR c.oid IN"
                " (SELECT t.relid FROM pg_catalog.pg_partition_tree($1) t WHERE t.isleaf)",
                {pg::regclass_param(relid)})
            .float8(0, 1);
    if (rows > 10.0 * most) {
        pg::Rows found = spi.run(from + " TABLESAMPLE SYSTEM ($2)" + limit,
                                 {pg::int4_param(most), pg::float8_param(200.0 * most / rows)});
        if (!found.empty())
            return found;
    }
    return spi.run(from + limit, {pg::int4_param(most)});
}

// A time that is no accident: small numbers, say, are times at the epoch of every snowflake.
bool is_plausible(const KeyKind &kind, Instant instant, Instant now)
{
    constexpr Instant a_day = 86400 * usecs_per_second;
    return instant >= 0 && instant >= kind.earliest() + 30 * a_day && instant <= now + a_day;
}

Tally tally(const KeyKind &kind, Oid type, const pg::Rows &rows, Instant now)
{
    Tally tally;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const Datum value = rows.datum(row, 1);
        const KeyKind *plain = &kind;
        const auto instant = pg::guarded([=] { return plain->instant_of(IdValue(type, value).image()); });
        if (!instant || !is_plausible(kind, *instant, now))
            continue;
        tally.oldest = tally.fitting == 0 ? *instant : std::min(tally.oldest, *instant);
        tally.newest = tally.fitting == 0 ? *instant : std::max(tally.newest, *instant);
        ++tally.fitting;
    }
    return tally;
}

} // namespace

std::vector<KindFinding> detect_key_kinds(pg::Spi &spi, Oid relid, const std::string &column, Oid type,
                                          std::int32_t most_rows)
{
    std::vector<KindFinding> findings;
    const std::optional<IdStorage> storage = id_storage(type);
    if (!storage)
        return findings;
    const pg::Rows rows = sample(spi, relid, column, most_rows);
    for (const auto &kind : likely_key_kinds(*storage)) {
        const Tally found = tally(*kind, type, rows, GetCurrentTimestamp());
        const double share = static_cast<double>(found.fitting) / static_cast<double>(rows.size());
        if (found.fitting > 0)
            findings.push_back({kind->name(), share, found.oldest, found.newest});
    }
    std::stable_sort(findings.begin(), findings.end(), [](const KindFinding &a, const KindFinding &b) {
        return std::pair(a.share, a.newest) > std::pair(b.share, b.newest);
    });
    return findings;
}

} // namespace privacy_scan::partition
