// See erase_ledger.hpp.
#include "pg/postgres.hpp"

#include "erase/erase_ledger.hpp"

#include "pg/ident.hpp"
#include "retention/digest.hpp"

namespace privacy_scan::erase
{

archive_file::Entry note_in_archives(pg::Spi &spi, const retention::Member &root,
                                     const retention::Member &member, const std::string &target,
                                     const std::string &leaf, const retention::RowTotal &total)
{
    std::int64_t id = 0;
    {
        pg::CatalogScope scope;
        id = spi.run("INSERT INTO privacy_scan.archive_ledger (root, relation, root_name, source, target, "
                     "rows, bytes,"
                     " digest, key_from, key_to, cutoff, leaf, action)"
                     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', '', clock_timestamp(), $9, 'erase') "
                     "RETURNING id",
                     {pg::regclass_param(root.table.relid), pg::regclass_param(member.table.relid),
                      pg::text_param(root.name), pg::text_param(member.name), pg::text_param(target),
                      pg::int8_param(total.rows), pg::int8_param(total.bytes),
                      pg::text_param(hex_of(total.digest)), pg::text_param(leaf)})
                 .int8(0, 1);
    }
    return archive_file::require_entry(spi, id);
}

namespace
{

std::vector<LedgerPart> parts_of(const pg::Rows &rows)
{
    std::vector<LedgerPart> parts;
    for (std::size_t row = 0; row < rows.size(); ++row)
        parts.push_back({rows.text(row, 1), rows.text(row, 2)});
    return parts;
}

// How the ledger writes a column of the root, alias a, and its type: as key_in_words() does.
constexpr const char *in_words = "'\"' || replace(a.attname::text, '\"', '\"\"') || '\" ' || format_type(a.atttypid, NULL)";

} // namespace

archive_file::Entry entry_of(pg::Spi &spi, const LedgerPart &part)
{
    std::int64_t id = 0;
    {
        pg::CatalogScope scope;
        id = spi.run("SELECT min(id) FROM privacy_scan.archive_ledger WHERE target = $1 AND leaf = $2",
                     {pg::text_param(part.target), pg::text_param(part.leaf)})
                 .int8(0, 1);
    }
    return archive_file::require_entry(spi, id);
}

std::vector<LedgerPart> blur_keys(pg::Spi &spi, Oid root, const std::string &kind, const pg::Param &keys)
{
    const std::string rest = kind == "uuidv7" ? " || '-0000-0000-000000000000'" : ""; // a bound is a prefix
    pg::CatalogScope scope;
    return parts_of(
        spi.run("UPDATE privacy_scan.archive_ledger SET"
                " key_from = CASE WHEN key_from = ANY ($2) THEN"
                "  privacy_scan.key_at($3, privacy_scan.key_instant($3, key_from))" +
                    rest +
                    " ELSE key_from END,"
                    " key_to = CASE WHEN key_to = ANY ($2) THEN"
                    "  privacy_scan.key_at($3, privacy_scan.key_instant($3, key_to) + interval '1 second')" +
                    rest +
                    " ELSE key_to END WHERE root = $1 AND (key_from = ANY ($2) OR key_to = ANY ($2))"
                    " RETURNING target, leaf",
                {pg::regclass_param(root), keys, pg::text_param(kind)}));
}

std::vector<std::string> former_keys(pg::Spi &spi, Oid root, const std::string &key)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run(std::string("SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1"
                                        " AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid NOT IN (1082, 1114, 1184)"
                                        " AND ") +
                                in_words + " <> $2 AND EXISTS (SELECT FROM privacy_scan.archive_ledger l"
                                           " WHERE l.root = $1 AND l.key_from <> '' AND l.key = " +
                                in_words + ") ORDER BY a.attnum",
                            {pg::regclass_param(root), pg::text_param(key)});
    std::vector<std::string> columns;
    for (std::size_t row = 0; row < rows.size(); ++row)
        columns.push_back(rows.text(row, 1));
    return columns;
}

std::vector<LedgerPart> forget_ranges(pg::Spi &spi, Oid root, const std::string &column,
                                      const pg::Param &values)
{
    pg::CatalogScope scope;
    return parts_of(spi.run(std::string("UPDATE privacy_scan.archive_ledger l SET key = '', key_from = '', key_to = ''"
                                        " FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attname = $2"
                                        " AND l.root = $1 AND l.key = ") +
                                in_words +
                                " AND (l.key_from = ANY ($3) OR l.key_to = ANY ($3)) RETURNING l.target, l.leaf",
                            {pg::regclass_param(root), pg::text_param(column), values}));
}

namespace
{

// By relation and kind of place.
void note_counts(pg::Spi &spi, std::int64_t id, const std::vector<Erased> &parts)
{
    for (const Erased &part : parts) {
        const std::string relation = pg::qualified_name(part.relid);
        pg::CatalogScope scope;
        if (part.rows > 0 && part.erasure == 0)
            spi.run("INSERT INTO privacy_scan.erasure_counts AS c (erasure, relation, place, rows, bytes)"
                    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (erasure, relation, place)"
                    " DO UPDATE SET rows = c.rows + $4, bytes = c.bytes + $5",
                    {pg::int8_param(id), pg::text_param(relation), pg::text_param(part.place),
                     pg::int8_param(part.rows), pg::int8_param(part.bytes)});
    }
}

} // namespace

std::int64_t note_erasure(pg::Spi &spi, Oid root, const std::string &reason, std::int64_t roots,
                          const pg::Param &hashes, const std::vector<Erased> &parts)
{
    const std::string caller = pg::role_name(GetUserId()), name = pg::qualified_name(root);
    std::int64_t id = 0;
    {
        pg::CatalogScope scope;
        id = spi.run("INSERT INTO privacy_scan.erasure_ledger (root, root_name, erased_by, reason, roots, "
                     "ids_sha256)"
                     " VALUES ($1, $2, $3, $4, $5, coalesce($6, '{}')) RETURNING id",
                     {pg::regclass_param(root), pg::text_param(name), pg::text_param(caller),
                      pg::text_param(reason), pg::int8_param(roots), hashes})
                 .int8(0, 1);
    }
    note_counts(spi, id, parts);
    return id;
}

void forget_plans(pg::Spi &spi, const retention::Family &family)
{
    for (const retention::Member &member : family.members) {
        pg::CatalogScope scope;
        const pg::Param root = pg::regclass_param(member.table.relid);
        spi.run("DELETE FROM privacy_scan.plan_ledger WHERE root = $1 AND state = 'made'", {root});
        spi.run("UPDATE privacy_scan.plan_action_list SET key_from = '', key_to = '' WHERE plan IN"
                " (SELECT id FROM privacy_scan.plan_ledger WHERE root = $1) AND key_from || key_to <> ''",
                {root});
    }
}

namespace
{

// Of a set that is split: tables of their own, such as sources that stay, and pieces before the switch.
std::string copies_of(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    return spi
        .run("SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY n.nspname, c.relname)"
             " FROM privacy_scan.split_states s JOIN (SELECT partition, source AS part FROM"
             "  privacy_scan.split_sources UNION SELECT partition, piece FROM privacy_scan.split_pieces) AS x"
             "  ON x.partition = s.partition JOIN pg_catalog.pg_class c ON c.oid = x.part AND NOT c.relispartition"
             " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
             " WHERE coalesce(pg_partition_root(s.parent), s.parent) = $1",
             {pg::regclass_param(relid)})
        .text(0, 1);
}

} // namespace

void warn_of_copies(pg::Spi &spi, const retention::Family &family)
{
    std::string copies;
    for (const retention::Member &member : family.members)
        if (const std::string some = copies_of(spi, member.table.relid); !some.empty())
            copies += (copies.empty() ? "" : ", ") + some;
    if (!copies.empty())
        pg::guarded([text = copies.c_str()] {
            ereport(WARNING, (errmsg("tables that splits or merges left were not looked through: %s", text),
                              errhint("They may hold copies of erased rows. Drop them when they are not needed.")));
        });
}

} // namespace privacy_scan::erase
