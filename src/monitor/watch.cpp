// See watch.hpp.
#include "pg/postgres.hpp"

#include "monitor/watch.hpp"

#include "partition/partition_policy.hpp"
#include "pg/compat.hpp"
#include "pg/subxact.hpp"
#include "retention/policy.hpp"

extern "C" {
#include <utils/lsyscache.h>
}

namespace privacy_scan::monitor
{

namespace
{

class WatchList
{
  public:
    void add(Oid relid, Oid root)
    {
        for (Watched &known : watched_)
            if (known.relid == relid) {
                if (!OidIsValid(known.root))
                    known.root = root;
                return;
            }
        watched_.push_back({relid, root});
    }
    std::vector<Watched> take() { return std::move(watched_); }

    // Where no policy says what the root is, a foreign key does: from a relation to one other, which is then
    // the root of both. Of several, none.
    void add_referenced_roots(pg::Spi &spi)
    {
        std::vector<Watched> found;
        for (const Watched &from : watched_) {
            if (OidIsValid(from.root))
                continue;
            const std::vector<Oid> referenced = referenced_by(spi, from.relid);
            if (referenced.size() == 1)
                found.push_back({from.relid, referenced.front()});
        }
        for (const Watched &pair : found)
            add(pair.relid, pair.root);
        for (const Watched &pair : found)
            add(pair.root, pair.root);
    }

  private:
    // The other watched relations that its foreign keys lead to.
    std::vector<Oid> referenced_by(pg::Spi &spi, Oid relid) const
    {
        pg::Rows rows = spi.run("SELECT DISTINCT confrelid FROM pg_catalog.pg_constraint"
                                " WHERE conrelid = $1 AND contype = 'f' AND confrelid <> $1",
                                {pg::oid_param(relid)});
        std::vector<Oid> relids;
        for (std::size_t row = 0; row < rows.size(); ++row)
            for (const Watched &other : watched_)
                if (other.relid == rows.oid(row, 1))
                    relids.push_back(other.relid);
        return relids;
    }

    std::vector<Watched> watched_;
};

// A family that cannot be read, for a reason that retention reports, still has its root.
void add_family(pg::Spi &spi, Oid root, WatchList &list)
{
    list.add(root, root);
    pg::try_in_subtransaction([&] {
        for (const retention::Member &member : retention::read_family(spi, root).members)
            list.add(member.table.relid, root);
    });
}

// The archives in the ledger, by the names that it wrote down.
void add_archives(pg::Spi &spi, Oid caller, WatchList &list)
{
    std::vector<Oid> archives;
    {
        pg::CatalogScope scope;
        pg::Rows rows =
            spi.run("SELECT c.oid FROM pg_catalog.pg_class c"
                    " WHERE c.relkind IN ('r', 'p') AND c.oid IN"
                    " (SELECT to_regclass(a.target) FROM privacy_scan.archive_ledger a WHERE a.target <> '')"
                    " ORDER BY c.oid::regclass::text");
        for (std::size_t row = 0; row < rows.size(); ++row)
            archives.push_back(rows.oid(row, 1));
    }
    for (Oid archive : archives)
        if (pg::guarded([=] { return pg::compat::owns_relation(archive, caller); }))
            list.add(archive, InvalidOid);
}

} // namespace

std::vector<Watched> watched_relations(pg::Spi &spi)
{
    const Oid caller = GetUserId();
    WatchList list;
    for (Oid root : retention::roots_with_policy(spi))
        if (pg::guarded([=] { return get_rel_relkind(root) != '\0'; }))
            add_family(spi, root, list);
    for (Oid relid : partition::managed_relations(spi))
        list.add(relid, InvalidOid);
    add_archives(spi, caller, list);
    pg::CatalogScope scope;
    list.add_referenced_roots(spi);
    return list.take();
}

Watched watched_relation(pg::Spi &spi, Oid relid)
{
    for (const Watched &watched : watched_relations(spi))
        if (watched.relid == relid)
            return watched;
    return {relid, InvalidOid};
}

void forget_dropped(pg::Spi &spi)
{
    pg::CatalogScope scope;
    spi.run("WITH gone AS (DELETE FROM privacy_scan.metric_relations WHERE id IN ("
            "SELECT m.id FROM privacy_scan.metric_relations m"
            " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = m.relation::oid)"
            " FOR UPDATE SKIP LOCKED) RETURNING id, relation::oid AS relation),"
            " leaves AS (DELETE FROM privacy_scan.metric_leaves l USING gone WHERE l.root = gone.relation)"
            " DELETE FROM privacy_scan.metric_samples s USING gone WHERE s.relation_id = gone.id");
}

} // namespace privacy_scan::monitor
