// See publication.hpp.
#include "pg/postgres.hpp"

#include "retention/publication.hpp"

namespace privacy_scan::retention
{

// A set without partitions is in no row of pg_publication_tables, a view that takes its time to be planned.
bool is_published(pg::Spi &spi, Oid relid, Change change)
{
    if (spi.run_kept("SELECT FROM pg_catalog.pg_publication LIMIT 1", {}).empty())
        return false;
    return spi
        .run(std::string("WITH related AS (SELECT relid FROM pg_catalog.pg_partition_tree($1)"
                         "  UNION SELECT relid FROM pg_catalog.pg_partition_ancestors($1) UNION SELECT $1)"
                         " SELECT EXISTS (SELECT FROM pg_catalog.pg_publication b WHERE ") +
                 (change == Change::insert ? "b.pubinsert" : "b.pubdelete") +
                 " AND (b.puballtables OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN related ON relid = r.prrelid"
                 "   WHERE r.prpubid = b.oid)"
                 "  OR EXISTS (SELECT FROM pg_catalog.pg_publication_tables t"
                 "   JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname"
                 "   JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename"
                 "   JOIN related ON relid = c.oid WHERE t.pubname = b.pubname)))",
             {pg::regclass_param(relid)})
        .boolean(0, 1);
}

} // namespace privacy_scan::retention
