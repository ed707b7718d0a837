// See alignment.hpp.
#include "pg/postgres.hpp"

#include "retention/alignment.hpp"

extern "C" {
#include <catalog/pg_class_d.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::retention
{

namespace
{

struct Key {
    std::string name; // empty: none by which it could line up with another
    Oid type = InvalidOid, collation = InvalidOid;
};

// The one column that a relation is partitioned by, by range, in the order of its type and its collation.
Key key_of(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run("SELECT a.attname::text, a.atttypid, a.attcollation"
                            " FROM pg_catalog.pg_partitioned_table p"
                            " JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid"
                            "  AND a.attnum = p.partattrs[0] AND a.attnum > 0"
                            " JOIN pg_catalog.pg_opclass o ON o.oid = p.partclass[0] AND o.opcdefault"
                            " WHERE p.partrelid = $1 AND p.partstrat = 'r' AND p.partnatts = 1"
                            " AND a.atttypid < 16384 AND a.attcollation = p.partcollation[0]",
                            {pg::oid_param(relid)});
    return rows.empty() ? Key{} : Key{rows.text(0, 1), rows.oid(0, 2), rows.oid(0, 3)};
}

bool is_partitioned(const Member &member)
{
    const Oid relid = member.table.relid;
    return pg::guarded([=] { return get_rel_relkind(relid); }) == RELKIND_PARTITIONED_TABLE;
}

bool ties(const Link &link, const Key &child, const Key &parent)
{
    auto is_pair = [&](const Link::Column &pair) {
        return pair.child == child.name && pair.parent == parent.name;
    };
    return !child.name.empty() && !parent.name.empty() && child.type == parent.type &&
           child.collation == parent.collation &&
           std::any_of(link.columns.begin(), link.columns.end(), is_pair);
}

// Of a member that doesn't line up.
std::string obstacle_in(const Family &family, const Member &member, const std::vector<Key> &keys)
{
    if (is_partitioned(member))
        return member.name + " is not partitioned as the root is";
    for (const Link &link : member.links)
        if (link.parent != 0 && !keys[link.parent].name.empty())
            return member.name + ", which refers to " + family.members[link.parent].name +
                   ", is not partitioned as that is";
    return {};
}

} // namespace

Alignment read_alignment(pg::Spi &spi, const Family &family)
{
    std::vector<Key> keys{key_of(spi, family.root().table.relid)};
    Alignment alignment;
    if (keys.front().name.empty())
        alignment.obstacle = "its relation is not partitioned by one column alone";
    for (std::size_t i = 1; i < family.members.size(); ++i) { // after their parents
        const Member &member = family.members[i];
        const Key key = key_of(spi, member.table.relid);
        const bool lines_up =
            member.links.size() == 1 && ties(member.links.front(), key, keys[member.links.front().parent]);
        keys.push_back(lines_up ? key : Key{});
        if (alignment.obstacle.empty() && !lines_up)
            alignment.obstacle = obstacle_in(family, member, keys);
        if (alignment.obstacle.empty() && lines_up && member.has_spared)
            alignment.obstacle = "references to " + member.name + " have to be cleared";
    }
    for (const Key &key : keys)
        alignment.keys.push_back(key.name);
    return alignment;
}

} // namespace privacy_scan::retention
