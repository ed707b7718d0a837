// See family_sql.hpp.
#include "pg/postgres.hpp"

#include "retention/family_sql.hpp"

#include "partition/partition_policy.hpp"
#include "pg/ident.hpp"

namespace privacy_scan::retention
{

namespace
{

std::string column(const std::string &alias, const std::string &name)
{
    return alias + "." + pg::quote(name);
}

std::string join(const std::vector<std::string> &parts, const std::string &separator)
{
    std::string text;
    for (const std::string &part : parts)
        text += (text.empty() ? "" : separator) + part;
    return text;
}

} // namespace

FamilySql::FamilySql(const Family &family, const Policy &policy)
    : family_(family), policy_(policy), key_(column("t", policy.key))
{
    for (const Member &member : family.members)
        for (const Link &link : member.links)
            for (const Link::Column &pair : link.columns)
                if (link.parent == 0 &&
                    std::find(root_columns_.begin(), root_columns_.end(), pair.parent) == root_columns_.end())
                    root_columns_.push_back(pair.parent);
}

// Over the alias t, as the stored condition is.
std::string FamilySql::expired_but_for_holds() const
{
    std::string text =
        key_ + " < $1 AND " +
        (policy_.key_kind.empty() ? "isfinite(" + key_ + ")" : partition::fits_kind(policy_.key_kind, key_));
    return policy_.condition.empty() ? text : text + " AND (" + policy_.condition + ")";
}

std::string FamilySql::expired() const
{
    std::string text = expired_but_for_holds();
    for (const Hold &hold : policy_.holds)
        text += " AND (" + hold.condition + ") IS NOT TRUE";
    return text;
}

// Least and greatest key, as text. Of uuids, which have neither, their texts', which sort as they do.
std::string FamilySql::extremes(const std::string &key) const
{
    const std::string value =
        policy_.key_kind == "uuidv7" ? key + "::pg_catalog.text COLLATE pg_catalog.\"C\"" : key;
    return "min(" + value + ")::text, max(" + value + ")::text";
}

std::string FamilySql::pick(const std::string &from, const std::string &condition,
                            const std::string &limit) const
{
    std::string picked = "t.tableoid AS o, t.ctid AS c, " + key_ + " AS k";
    std::string arrays;
    for (std::size_t i = 0; i < root_columns_.size(); ++i) {
        const std::string name = "r" + std::to_string(i);
        picked += ", " + column("t", root_columns_[i]) + " AS " + name;
        arrays += ", array_agg(" + name + ")";
    }
    return "WITH picked AS (SELECT " + picked + " FROM " + from + " AS t WHERE " + condition + limit +
           " FOR UPDATE OF t SKIP LOCKED)"
           " SELECT count(*), array_agg(o), array_agg(c), " +
           extremes("k") + arrays + " FROM picked";
}

std::string FamilySql::pick_roots() const
{
    return pick(family_.root().from, expired(), " ORDER BY " + key_ + " LIMIT $2 OFFSET $3");
}

std::string FamilySql::pick_referenced(const Member &member) const
{
    const Link::Column &pair = member.links.front().columns.front();
    return pick(family_.root().from,
                expired() + " AND EXISTS (SELECT FROM unnest($2) AS x WHERE x " + pair.equals + " " +
                    column("t", pair.parent) + ")");
}

std::string FamilySql::pick_where(const std::string &condition) const
{
    return pick(family_.root().from, condition);
}

std::string FamilySql::pick_leaf(const std::string &leaf) const
{
    return pick("ONLY " + leaf, expired());
}

std::string FamilySql::has_only_expired(const std::string &leaf) const
{
    return "SELECT NOT EXISTS (SELECT FROM ONLY " + leaf + " AS t WHERE (" + expired() + ") IS NOT TRUE)";
}

std::string FamilySql::count_roots(const std::string &leaf) const
{
    const std::string source = " FROM ONLY " + leaf;
    return "SELECT (SELECT count(*)" + source + "), count(*), " + extremes(key_) + source + " AS t WHERE " +
           expired();
}

std::string FamilySql::has_parent_in(const Member &member, const std::string &source) const
{
    std::vector<std::string> equal;
    for (const Link::Column &pair : member.links.front().columns)
        equal.push_back(column("t", pair.child) + " " + pair.equals + " " + column("p", pair.parent));
    return "EXISTS (SELECT FROM " + source + " AS p WHERE " + join(equal, " AND ") + ")";
}

std::string FamilySql::count_where(const std::string &condition) const
{
    return "SELECT count(*) FROM " + family_.root().from + " AS t WHERE " + condition;
}

std::string FamilySql::unpicked(const Member &member) const
{
    const Link::Column &pair = member.links.front().columns.front();
    return "SELECT count(*), coalesce(array_agg(x), '{}') FROM unnest($" + std::to_string(root_columns_.size() + 3) +
           ") AS x WHERE NOT EXISTS (SELECT FROM unnest(" + number(pair.parent) + ") AS p WHERE x " +
           pair.equals + " p)";
}

std::string FamilySql::refers_to_others(const Member &member) const
{
    const Link::Column &pair = member.links.front().columns.front();
    const std::string child = column("t", pair.child);
    return "(" + child + " " + pair.equals + " ANY ($1) OR " + child + " IS NULL)";
}

std::string FamilySql::sample_leaf(const Member &member, const std::string &leaf) const
{
    const Link::Column &pair = member.links.front().columns.front();
    const std::string child = column("t", pair.child), source = " FROM ONLY " + leaf + " AS t";
    return "WITH sample AS MATERIALIZED ((SELECT " + child + " AS x" + source + " LIMIT 100) UNION (SELECT " +
           child + source + " ORDER BY " + child + " LIMIT 1) UNION (SELECT " + child + source +
           " ORDER BY " + child + " DESC LIMIT 1)) SELECT coalesce(bool_and(e), false), coalesce(bool_or(e), false)"
           " FROM (SELECT EXISTS (SELECT FROM " +
           family_.root().from + " AS t WHERE " + expired() + " AND x " + pair.equals + " " +
           column("t", pair.parent) + ") AS e FROM sample) AS s";
}

std::string FamilySql::count_leaf(const Member &member, const std::string &leaf) const
{
    return "SELECT count(*), count(*) FILTER (WHERE " + belongs(member, "t", Roots::expired) +
           ") FROM ONLY " + leaf + " AS t";
}

std::string FamilySql::count_staying(const Member &member, const std::string &leaf) const
{
    return "SELECT count(*) FROM (SELECT FROM ONLY " + leaf + " AS t WHERE NOT (" +
           belongs(member, "t", Roots::expired) + ") LIMIT $2) AS s";
}

// The parameter with the picked values of a column.
std::string FamilySql::number(const std::string &root_column) const
{
    auto at = std::find(root_columns_.begin(), root_columns_.end(), root_column) - root_columns_.begin();
    return "$" + std::to_string(at + 3);
}

std::string FamilySql::probe_leaves(const Member &member) const
{
    if (member.leaves.empty())
        return {};
    const Link::Column &pair = member.links.front().columns.front();
    const std::string child = column("t", pair.child),
                      ids = "unnest(" + number(pair.parent) + ") AS x WHERE x IS NOT NULL",
                      order =
                          std::string(" ORDER BY x") + (member.in_bytes ? " COLLATE pg_catalog.\"C\"" : "");
    std::string text = "WITH range AS MATERIALIZED (SELECT (SELECT x FROM " + ids + order +
                       " LIMIT 1) AS lo,"
                       " (SELECT x FROM " +
                       ids + order + " DESC LIMIT 1) AS hi)";
    for (const std::string &leaf : member.leaves)
        text += (&leaf == &member.leaves.front() ? " " : " UNION ALL ") + ("SELECT " + pg::quote_text(leaf)) +
                " WHERE EXISTS (SELECT FROM ONLY " + leaf + " AS t WHERE " + child +
                " >= (SELECT lo FROM range) AND " + child + " <= (SELECT hi FROM range))";
    return text;
}

// True of an alias's row that refers, through the link, to a row of the family.
std::string FamilySql::through(const Link &link, const std::string &alias, Roots roots) const
{
    const bool to_picked = link.parent == 0 && roots == Roots::picked;
    if (to_picked && link.columns.size() == 1) {
        const Link::Column &pair = link.columns.front();
        return column(alias, pair.child) + " " + pair.equals + " ANY (" + number(pair.parent) + ")";
    }
    const std::string parent = alias + "p";
    std::vector<std::string> equal, arrays, names;
    for (const Link::Column &pair : link.columns) {
        equal.push_back(column(alias, pair.child) + " " + pair.equals + " " + column(parent, pair.parent));
        if (to_picked) {
            arrays.push_back(number(pair.parent));
            names.push_back(pg::quote(pair.parent));
        }
    }
    std::string source = family_.members[link.parent].from + " AS " + parent;
    std::string more;
    if (to_picked)
        source = "unnest(" + join(arrays, ", ") + ") AS " + parent + "(" + join(names, ", ") + ")";
    else if (link.parent == 0)
        source = "(SELECT t.* FROM " + family_.root().from + " AS t WHERE " + expired() + ") AS " + parent;
    else
        more = " AND (" + belongs(family_.members[link.parent], parent, roots) + ")";
    return "EXISTS (SELECT FROM " + source + " WHERE " + join(equal, " AND ") + more + ")";
}

std::string FamilySql::belongs(const Member &member, const std::string &alias, Roots roots) const
{
    std::vector<std::string> links;
    for (const Link &link : member.links)
        links.push_back(through(link, alias, roots));
    return join(links, " OR ");
}

std::vector<std::string> FamilySql::lock_rows(const Member &member) const
{
    std::vector<std::string> statements;
    for (const Link &link : member.links)
        statements.push_back("SELECT count(*) FROM (SELECT FROM " + member.from + " AS t WHERE " +
                             through(link, "t", Roots::picked) + " FOR UPDATE OF t) AS locked");
    return statements;
}

std::string FamilySql::count_rows(const Member &member) const
{
    return "SELECT count(*) FROM " + member.from + " AS t WHERE " + belongs(member, "t", Roots::picked);
}

std::string FamilySql::count_expired(const Member &member) const
{
    if (member.links.empty())
        return "SELECT count(*), " + extremes(key_) + " FROM " + member.from + " AS t WHERE " + expired();
    return "SELECT count(*) FROM " + member.from + " AS t WHERE " + belongs(member, "t", Roots::expired);
}

std::string FamilySql::digest_expired() const
{
    std::string columns = key_;
    for (const std::string &name : root_columns_)
        columns += ", " + column("t", name);
    return "SELECT (d).digest FROM (SELECT privacy_scan.row_digest(r.*) AS d FROM (SELECT " +
           (root_columns_.empty() ? "t.*" : columns) + " FROM " + family_.root().from + " AS t WHERE " +
           expired() + ") AS r) AS digested";
}

std::string FamilySql::count_held(const Hold &hold) const
{
    return "SELECT count(*) FROM " + family_.root().from + " AS t WHERE " + expired_but_for_holds() +
           " AND (" + hold.condition + ")";
}

// The places of rows that no one condition finds, as a common table expression: those of the picked roots,
// and those that several links may lead to, a link at a time: an OR of links could use no index. They are
// locked by then, so that their place holds. Empty where one link leads to the rows.
std::string FamilySql::hits(const Member &member) const
{
    if (member.links.size() == 1)
        return {};
    std::vector<std::string> hits;
    for (const Link &link : member.links)
        hits.push_back("SELECT t.tableoid AS o, t.ctid AS c FROM " + member.from + " AS t WHERE " +
                       through(link, "t", Roots::picked));
    if (member.links.empty())
        hits.push_back("SELECT * FROM unnest($1, $2) AS u(o, c)");
    return "hit AS MATERIALIZED (" + join(hits, " UNION ") + ")";
}

// True of the alias t's row that belongs to the picked roots; behind hits(). IS TRUE keeps the planner from a join, in
// which it would compare each row with all places; they are hashed (from 14 on, where they fit into work_mem).
std::string FamilySql::is_found(const Member &member) const
{
    return member.links.size() == 1 ? through(member.links.front(), "t", Roots::picked)
                                    : "t.ctid = ANY (ARRAY(SELECT c FROM hit)) AND ((t.tableoid, t.ctid) IN "
                                      "(SELECT o, c FROM hit)) IS TRUE";
}

std::string FamilySql::deletion(const Member &member) const
{
    return "DELETE FROM " + member.from + " AS t WHERE " + is_found(member);
}

std::string FamilySql::delete_rows(const Member &member, const std::string &columns) const
{
    const std::string found = hits(member);
    return (found.empty() ? "" : "WITH " + found + " ") + deletion(member) + " RETURNING t.tableoid, " +
           columns;
}

std::string FamilySql::move_rows(const Member &member, const std::string &archive,
                                 const std::string &columns) const
{
    const std::string found = hits(member);
    return "WITH " + (found.empty() ? "" : found + ", ") + "gone AS (" + deletion(member) + " RETURNING " +
           columns + "), kept AS (INSERT INTO " + archive + " (" + columns + ") SELECT " + columns +
           " FROM gone RETURNING " + columns + ")" +
           " SELECT (g.d).rows, (g.d).bytes, (g.d).digest, (k.d).rows, (k.d).digest"
           " FROM (SELECT privacy_scan.row_digest(gone.*) AS d FROM gone) AS g,"
           " (SELECT privacy_scan.row_digest(kept.*) AS d FROM kept) AS k";
}

std::string FamilySql::copy_rows(const Member &member, const std::string &target,
                                 const std::string &insert_columns, const std::string &columns) const
{
    const std::string found = hits(member);
    return "WITH " + (found.empty() ? "" : found + ", ") + "back AS (INSERT INTO " + target + " (" +
           insert_columns + ") OVERRIDING SYSTEM VALUE SELECT " + insert_columns + " FROM " + member.from +
           " AS t WHERE " + is_found(member) + " RETURNING " + columns +
           ") SELECT (privacy_scan.row_digest(back.*)).* FROM back";
}

std::string FamilySql::digest_rows(const Member &member, const std::string &columns) const
{
    const std::string found = hits(member);
    return (found.empty() ? "" : "WITH " + found + " ") +
           "SELECT (privacy_scan.row_digest(r.*)).* FROM (SELECT " + columns + " FROM " + member.from +
           " AS t WHERE " + is_found(member) + ") AS r";
}

std::string FamilySql::count_conflicts(const Member &member, const std::string &other,
                                       const std::vector<Link::Column> &columns) const
{
    const std::string found = hits(member);
    std::vector<std::string> keys, equal;
    for (const Link::Column &pair : columns) {
        keys.push_back(column("o", pair.parent));
        equal.push_back(column("t", pair.child) + " " + pair.equals + " " + keys.back());
    }
    return (found.empty() ? "" : "WITH " + found + " ") +
           "SELECT count(*), array_to_string((array_agg(k ORDER BY k))[1:5], ', ') FROM (SELECT ROW(" +
           join(keys, ", ") + ")::pg_catalog.text AS k FROM " + member.from + " AS t JOIN " + other + " AS o ON " +
           join(equal, " AND ") + " WHERE " + is_found(member) + ") AS conflicts";
}

std::string FamilySql::remove_rows(const Member &member, const std::string &columns) const
{
    const std::string found = hits(member);
    return "WITH " + (found.empty() ? "" : found + ", ") + "gone AS (" + deletion(member) +
           " RETURNING t.tableoid AS \"privacy_scan source\", " + columns +
           "), source AS (SELECT DISTINCT \"privacy_scan source\" AS o FROM gone) SELECT o, (d).rows, "
           "(d).bytes,"
           " (d).digest FROM source, LATERAL (SELECT privacy_scan.row_digest(r.*) AS d FROM (SELECT " +
           columns + " FROM gone WHERE \"privacy_scan source\" = o) AS r) AS digested";
}

} // namespace privacy_scan::retention
