// See erase_places.hpp. Batches and restores need ROW EXCLUSIVE on an archive, windows, whole partitions and
// files that come back SHARE UPDATE EXCLUSIVE, exports SHARE on a partition of it: all of them wait, or are
// waited for. A batch that has its live rows but not yet the archive is in our way at those rows, and goes
// first: then the try is made again.
#include "pg/postgres.hpp"

#include "erase/erase_places.hpp"

#include "pg/ident.hpp"
#include "pg/lock.hpp"
#include "retention/archive_table.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::erase
{

namespace
{

using retention::Member;

std::string columns_of(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    return spi
        .run("SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_catalog.pg_attribute"
             " WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped",
             {pg::oid_param(relid)})
        .text(0, 1);
}

// The archives that exist of a member, by OID.
std::vector<Oid> archives_of(pg::Spi &spi, const Member &member)
{
    pg::CatalogScope scope;
    pg::Rows rows =
        spi.run("SELECT DISTINCT c.oid FROM privacy_scan.archive_ledger a"
                " JOIN pg_catalog.pg_class c ON c.oid = to_regclass(nullif(a.target, '')) AND c.relkind IN ('r', 'p')"
                " WHERE a.relation = $1 AND a.target <> '' ORDER BY c.oid",
                {pg::regclass_param(member.table.relid)});
    std::vector<Oid> archives;
    for (std::size_t row = 0; row < rows.size(); ++row)
        archives.push_back(rows.oid(row, 1));
    return archives;
}

Place live_place(pg::Spi &spi, const Member &member, std::size_t i)
{
    return {i, member.table.relid, member.name, member.from, columns_of(spi, member.table.relid), true};
}

Place archive_place(pg::Spi &spi, const Member &member, std::size_t i, Oid archive)
{
    if (pg::require_owner(archive).owner != member.table.owner)
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                 pg::qualified_name(archive) + " has another owner than " + member.name +
                     ", whose archive it is",
                 {}, "Give it back to \"" + pg::role_name(member.table.owner) + "\".");
    const std::string name = pg::qualified_name(archive);
    return {i, archive, name, name, columns_of(spi, archive), false};
}

std::vector<Place> places_of(pg::Spi &spi, const Places &places)
{
    std::vector<Place> list;
    for (std::size_t i = 0; i < places.family.members.size(); ++i) {
        const Member &member = places.family.members[i];
        list.push_back(live_place(spi, member, i));
        for (const Oid archive : archives_of(spi, member)) {
            if (places.policy && archive == retention::archive_oid(member, places.policy->archive_schema))
                retention::open_archive(spi, member, places.policy->archive_schema); // new columns
            list.push_back(archive_place(spi, member, i, archive));
        }
    }
    return list;
}

void lock_archives(pg::Spi &spi, const Places &places)
{
    std::string names;
    for (const Place &place : places.list)
        if (!place.is_live)
            names += (names.empty() ? "" : ", ") + place.name;
    if (!names.empty())
        spi.run("LOCK TABLE " + names + " IN SHARE ROW EXCLUSIVE MODE");
}

void lock_live_roots(pg::Spi &spi, const Places &places, const std::string &condition)
{
    spi.run("SELECT count(*) FROM (SELECT FROM " + places.list.front().from + " AS t WHERE (" + condition +
            ") FOR UPDATE OF t) AS locked");
}

// A first batch may have made an archive meanwhile.
void require_same_archives(pg::Spi &spi, const Places &places)
{
    std::vector<Oid> before, now;
    for (const Place &place : places.list)
        if (!place.is_live)
            before.push_back(place.relid);
    for (const Member &member : places.family.members)
        for (const Oid archive : archives_of(spi, member))
            now.push_back(archive);
    if (before != now)
        pg::fail(ERRCODE_LOCK_NOT_AVAILABLE,
                 "archives of " + places.family.root().name + " were made meanwhile", {}, "Try again.");
}

Places lock_once(pg::Spi &spi, Oid root, const std::string &condition)
{
    Places places;
    places.family = retention::read_family(spi, root, RowExclusiveLock);
    places.policy = retention::find_policy(spi, root);
    places.holds = retention::lock_holds(spi, root);
    places.list = places_of(spi, places);
    {
        pg::OwnerScope owner(places.family.root().table.owner);
        lock_archives(spi, places);
        lock_live_roots(spi, places, condition);
    }
    require_same_archives(spi, places);
    places.joined = retention::join_detached(spi, places.family); // none is detached any more
    return places;
}

} // namespace

std::vector<const Place *> Places::of(std::size_t member) const
{
    std::vector<const Place *> found;
    for (const Place &place : list)
        if (place.member == member)
            found.push_back(&place);
    return found;
}

Places lock_places(pg::Spi &spi, Oid root, const std::string &condition)
{
    Places places;
    pg::LockWait wait;
    if (auto failure = pg::try_with_locks({root, retention::hold_table()}, wait,
                                          [&] { places = lock_once(spi, root, condition); }))
        pg::raise(*failure);
    return places;
}

} // namespace privacy_scan::erase
