// See erase_sql.hpp.
#include "pg/postgres.hpp"

#include "erase/erase_sql.hpp"

#include "pg/ident.hpp"

namespace privacy_scan::erase
{

namespace
{

std::string column(const std::string &alias, const std::string &name)
{
    return alias + "." + pg::quote(name);
}

} // namespace

EraseSql::EraseSql(const Places &places) : places_(places), columns_(places.family.members.size())
{
    for (const retention::Member &member : places.family.members)
        for (const retention::Link &link : member.links)
            for (const retention::Link::Column &pair : link.columns) {
                std::vector<std::string> &known = columns_[link.parent];
                if (std::find(known.begin(), known.end(), pair.parent) == known.end())
                    known.push_back(pair.parent);
            }
}

bool EraseSql::add_unseen(const retention::RootIds &ids)
{
    for (const std::string &name : columns_.front())
        if (name != ids.column)
            return false;
    unseen_ = ids.array;
    return true;
}

std::size_t EraseSql::parameter(std::size_t member, const std::string &name) const
{
    std::size_t before = 2;
    for (std::size_t i = 0; i < member; ++i)
        before += columns_[i].size();
    const auto at =
        std::find(columns_[member].begin(), columns_[member].end(), name) - columns_[member].begin();
    return before + static_cast<std::size_t>(at);
}

// The same as it is written.
std::string EraseSql::number(std::size_t member, const std::string &name) const
{
    return "$" + std::to_string(parameter(member, name) + 1);
}

std::string EraseSql::through(const retention::Link &link) const
{
    std::string arrays, names, equal;
    for (const retention::Link::Column &pair : link.columns) {
        if (link.columns.size() == 1)
            return column("t", pair.child) + " " + pair.equals + " ANY (" + number(link.parent, pair.parent) +
                   ")";
        arrays += (arrays.empty() ? "" : ", ") + number(link.parent, pair.parent);
        names += (names.empty() ? "" : ", ") + pg::quote(pair.parent);
        equal += (equal.empty() ? "" : " AND ") + column("t", pair.child) + " " + pair.equals + " " +
                 column("p", pair.parent);
    }
    return "EXISTS (SELECT FROM unnest(" + arrays + ") AS p(" + names + ") WHERE " + equal + ")";
}

// True of the alias t's row that goes.
std::string EraseSql::goes(std::size_t member) const
{
    const retention::Member &of = places_.family.members[member];
    if (of.links.empty())
        return "(t.ctid = ANY ($2) AND (t.tableoid, t.ctid) IN (SELECT u.o, u.c FROM unnest($1, $2) AS u(o, "
               "c)))";
    std::string text;
    for (const retention::Link &link : of.links)
        text += (text.empty() ? "(" : " OR ") + through(link);
    return text + ")";
}

std::string EraseSql::keys(std::size_t member) const
{
    std::string text;
    for (std::size_t n = 0; n < columns_[member].size(); ++n)
        text += (n ? ", " : "") + column("t", columns_[member][n]) + " AS k" + std::to_string(n);
    return text;
}

std::string EraseSql::arrays(std::size_t member) const
{
    std::string text;
    for (std::size_t n = 0; n < columns_[member].size(); ++n)
        text += (n ? ", " : "") + ("array_agg(k" + std::to_string(n) + ")") +
                (member == 0 && !unseen_.empty() ? " || " + unseen_ : "");
    return text;
}

// The rows of a member in all of its places that meet a condition, the live ones locked; as common table
// expressions, the last of which is picked.
std::string EraseSql::picked(std::size_t member, const std::string &columns,
                             const std::string &condition) const
{
    std::string tables, all;
    for (const Place *place : places_.of(member)) {
        const std::string name = "p" + std::to_string(place - places_.list.data());
        tables += (tables.empty() ? "WITH " : ", ") + name + " AS (SELECT " + columns + " FROM " +
                  place->from + " AS t WHERE " + condition + (place->is_live ? " FOR UPDATE OF t)" : ")");
        all += (all.empty() ? "TABLE " : " UNION ALL TABLE ") + name;
    }
    return tables + ", picked AS (" + all + ")";
}

std::string EraseSql::extremes() const
{
    if (!places_.policy || retention::comparable_key(*places_.policy).empty())
        return "NULL::text, NULL::text";
    const bool is_uuid = retention::comparable_key(*places_.policy) == "uuid"; // which has neither
    const std::string value = is_uuid ? "k::pg_catalog.text COLLATE pg_catalog.\"C\"" : "k";
    return "min(" + value + ")::text, max(" + value + ")::text";
}

std::string EraseSql::pick_roots(const std::string &condition, const std::string &id) const
{
    const std::string key = places_.policy ? column("t", places_.policy->key) : "NULL::text";
    const std::string keys_too = keys(0).empty() ? "" : ", " + keys(0),
                      arrays_too = keys_too.empty() ? "" : ", " + arrays(0);
    return picked(0, "t.tableoid AS o, t.ctid AS c, " + key + " AS k, " + id + " AS i" + keys_too,
                  "(" + condition + ")") +
           " SELECT count(*), array_agg(DISTINCT encode(sha256(convert_to(i, getdatabaseencoding())), 'hex'))"
           " FILTER (WHERE i IS NOT NULL), " +
           extremes() + ", array_agg(o), array_agg(c)" + arrays_too +
           " FROM picked";
}

std::string EraseSql::pick_rows(std::size_t member) const
{
    if (columns_[member].empty())
        return {};
    return picked(member, keys(member), goes(member)) + " SELECT " + arrays(member) + " FROM picked";
}

std::string EraseSql::count_rows(std::size_t member, const std::string &from) const
{
    return "SELECT count(*) FROM " + from + " AS t WHERE " + goes(member);
}

std::string EraseSql::count_roots(const std::string &from, const std::string &condition) const
{
    return "SELECT count(*) FROM " + from + " AS t WHERE (" + condition + ")";
}

std::string EraseSql::select_without_keys(pg::Spi &spi, const Place &place) const
{
    const retention::Member &member = places_.family.members[place.member];
    std::vector<std::string> names = columns_[place.member];
    for (const retention::Link &link : member.links)
        for (const retention::Link::Column &pair : link.columns)
            names.push_back(pair.child);
    std::string missing;
    for (const std::string &name : names) {
        pg::CatalogScope scope;
        pg::Rows rows = spi.run(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = $3 AND a.attname = $2)"
            " FROM pg_catalog.pg_attribute l WHERE l.attrelid = $1 AND l.attname = $2 AND l.attnotnull",
            {pg::oid_param(member.table.relid), pg::text_param(name), pg::oid_param(place.relid)});
        if (!rows.empty())
            missing += (missing.empty() ? "" : " OR ") +
                       (rows.boolean(0, 1) ? column("t", name) + " IS NULL" : std::string("true"));
    }
    return missing.empty() ? missing : "SELECT FROM " + place.from + " AS t WHERE " + missing;
}

std::string EraseSql::count_held(const Place &place, const std::string &condition) const
{
    return count_rows(place.member, place.from) + " AND (" + condition + ")";
}

namespace
{

std::string deletion(const std::string &from, const std::string &columns, const std::string &condition)
{
    return "WITH gone AS (DELETE FROM " + from + " AS t WHERE " + condition +
           " RETURNING t.tableoid AS \"privacy_scan source\", " + columns +
           "), source AS (SELECT DISTINCT \"privacy_scan source\" AS o FROM gone) SELECT o, (d).rows, "
           "(d).bytes,"
           " (d).digest FROM source, LATERAL (SELECT privacy_scan.row_digest(r.*) AS d FROM (SELECT " +
           columns + " FROM gone WHERE \"privacy_scan source\" = o) AS r) AS digested ORDER BY o";
}

} // namespace

std::string EraseSql::delete_rows(const Place &place) const
{
    return deletion(place.from, place.columns, goes(place.member));
}

std::string EraseSql::delete_where(const std::string &from, const std::string &columns,
                                   const std::string &condition)
{
    return deletion(from, columns, condition);
}

std::string EraseSql::select_values(const std::string &from, const std::string &name, const std::string &condition) const
{
    return "SELECT array_agg(DISTINCT " + column("t", name) + "::text) FROM " + from + " AS t WHERE " +
           (condition.empty() ? goes(0) : condition);
}

} // namespace privacy_scan::erase
