// See restore_conflict.hpp.
#include "pg/postgres.hpp"

#include "retention/restore_conflict.hpp"

namespace privacy_scan::retention
{

namespace
{

struct UniqueIndex {
    std::string name;
    std::vector<Link::Column> columns; // the archive's as the child, the live relation's as the parent
};

// Those whose columns the archive has, too, with the index's own operators.
std::vector<UniqueIndex> unique_indexes(pg::Spi &spi, Oid live, Oid archive)
{
    pg::CatalogScope scope;
    const pg::Rows rows = spi.run(
        "SELECT x.relname::text, u.place = 1, a.attname::text, format('OPERATOR(%I.%s)', n.nspname, o.oprname)"
        " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid,"
        " LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS u(attnum, opclass, place)"
        " JOIN pg_catalog.pg_opclass c ON c.oid = u.opclass"
        " JOIN pg_catalog.pg_amop m ON m.amopfamily = c.opcfamily AND m.amoplefttype = c.opcintype"
        " AND m.amoprighttype = c.opcintype AND m.amopstrategy = 3"
        " JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace,"
        " pg_catalog.pg_attribute a"
        " WHERE i.indrelid = $1 AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL"
        " AND a.attrelid = i.indrelid AND a.attnum = u.attnum"
        " AND i.indnkeyatts = (SELECT count(*) FROM pg_catalog.pg_attribute l JOIN pg_catalog.pg_attribute s USING (attname, atttypid)"
        " WHERE l.attrelid = i.indrelid AND l.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])"
        " AND s.attrelid = $2 AND NOT s.attisdropped)"
        " ORDER BY x.relname, x.oid, u.place",
        {pg::oid_param(live), pg::oid_param(archive)});
    std::vector<UniqueIndex> indexes;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (rows.boolean(row, 2))
            indexes.push_back({rows.text(row, 1), {}});
        indexes.back().columns.push_back({rows.text(row, 3), rows.text(row, 3), rows.text(row, 4)});
    }
    return indexes;
}

} // namespace

std::string conflicts_in_words(pg::Spi &spi, const Member &live, const Member &stored, Oid archive,
                               const FamilySql &sql, const Picked &picked)
{
    std::string words;
    for (const UniqueIndex &index : unique_indexes(spi, live.table.relid, archive)) {
        const pg::Rows rows = spi.run_generic(sql.count_conflicts(stored, live.name, index.columns), picked.params);
        const std::int64_t count = rows.int8(0, 1);
        if (count > 0)
            words += (words.empty() ? "" : " ") + live.name + " has " + std::to_string(count) + " of their keys in \"" +
                     index.name + "\" already: " + rows.text(0, 2) + (count > 5 ? ", and others." : ".");
    }
    return words;
}

} // namespace privacy_scan::retention
