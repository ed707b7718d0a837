// See family.hpp.
#include "pg/postgres.hpp"

#include "retention/family.hpp"

#include "pg/ident.hpp"

extern "C" {
#include <catalog/catalog.h>
#include <catalog/dependency.h>
#include <catalog/pg_class_d.h>
#include <catalog/pg_collation_d.h>
#include <catalog/pg_inherits.h>
#include <utils/lsyscache.h>
}

namespace privacy_scan::retention
{

namespace
{

// One foreign key to a relation, or to one of its partitions by itself.
struct Reference {
    Oid constraint_oid;
    std::string constraint;
    Oid child, parent;
    char on_delete;
    std::vector<Link::Column> columns;
};

bool clears_reference(const Reference &reference)
{
    return reference.on_delete == 'n' || reference.on_delete == 'd';
}

// The declared foreign keys that refer to the relation, to one of its partitions or to what it is a partition
// of: those that partitions inherited have a parent. Read with the extension's rights and search_path: the
// caller's could lead to somebody else's functions and operators.
std::vector<Reference> references_to(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    pg::Rows rows = spi.run_kept(
        "SELECT k.oid, k.conname::text, k.conrelid, k.confdeltype::text, c.attname::text, p.attname::text,"
        " format('OPERATOR(%I.%s)', n.nspname, o.oprname)"
        " FROM pg_catalog.pg_constraint k,"
        " LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS u(child, parent, operator, "
        "place)"
        " JOIN pg_catalog.pg_operator e ON e.oid = u.operator"
        " JOIN pg_catalog.pg_operator o ON o.oid = CASE WHEN e.oprcom <> 0 THEN e.oprcom ELSE e.oid END"
        " JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace,"
        " pg_catalog.pg_attribute c, pg_catalog.pg_attribute p"
        " WHERE k.contype = 'f' AND k.conparentid = 0"
        " AND (k.confrelid = $1 OR k.confrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1))"
        "  OR k.confrelid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors($1)))"
        " AND c.attrelid = k.conrelid AND c.attnum = u.child AND p.attrelid = k.confrelid AND p.attnum = "
        "u.parent"
        " ORDER BY k.conrelid::regclass::text, k.conname, k.oid, u.place",
        {pg::regclass_param(relid)});
    std::vector<Reference> references;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (references.empty() || references.back().constraint_oid != rows.oid(row, 1))
            references.push_back(
                {rows.oid(row, 1), rows.text(row, 2), rows.oid(row, 3), relid, rows.text(row, 4)[0], {}});
        references.back().columns.push_back({rows.text(row, 5), rows.text(row, 6), rows.text(row, 7)});
    }
    return references;
}

[[noreturn]] void refuse_circle(const Reference &reference)
{
    const bool self = reference.child == reference.parent;
    pg::fail(
        ERRCODE_FEATURE_NOT_SUPPORTED,
        "cannot keep relation \"" + pg::relation_name(reference.parent) + "\" by families",
        "Foreign key \"" + reference.constraint + "\" from \"" + pg::relation_name(reference.child) + "\" " +
            (self ? "refers to the relation itself." : "closes a circle of foreign keys."),
        self ? "Rows that are kept may depend on rows that would go. Declare the key ON DELETE SET NULL, or "
               "drop it."
             : "Rows that are kept may depend on rows that would go. Drop one of the keys of the circle.");
}

// Keys travel from statement to statement in arrays, which cannot hold arrays.
void refuse_array_keys(const Reference &reference)
{
    const Oid relid = reference.parent;
    for (const Link::Column &pair : reference.columns) {
        const char *name = pair.parent.c_str();
        if (pg::guarded([=] { return type_is_array_domain(get_atttype(relid, get_attnum(relid, name))); }))
            pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED,
                     "cannot keep relation \"" + pg::relation_name(relid) + "\" by families",
                     "Foreign key \"" + reference.constraint + "\" refers to a column of an array type.");
    }
}

std::size_t index_of(const std::vector<Oid> &relids, Oid relid)
{
    return static_cast<std::size_t>(std::find(relids.begin(), relids.end(), relid) - relids.begin());
}

bool contains(const std::vector<Oid> &relids, Oid relid)
{
    return index_of(relids, relid) < relids.size();
}

// Walks the foreign keys depth first, twice: for who is in the family, then for the order. A relation that
// clears its references but is in the family otherwise goes before what it refers to: its rows would be
// archived cleared.
class Walk
{
  public:
    Walk(pg::Spi &spi, Oid root, LOCKMODE lockmode) : spi_(spi), lockmode_(lockmode)
    {
        gather(root);
        std::vector<Oid> path;
        arrange(root, path);
    }

    std::vector<Oid> parents_first() const { return {done_.rbegin(), done_.rend()}; }

    std::vector<Reference> references;
    std::vector<Spared> spared;

  private:
    // Locks before it reads: no foreign key comes or goes behind its back.
    void gather(Oid relid)
    {
        if (contains(members_, relid))
            return;
        if (lockmode_ != NoLock)
            pg::lock_owned(pg::require_owner(relid), lockmode_);
        members_.push_back(relid);
        read_.push_back(references_to(spi_, relid));
        const std::vector<Reference> found = read_.back();
        for (const Reference &reference : found)
            if (!clears_reference(reference))
                gather(reference.child);
    }

    // `path` is the way from the root.
    void arrange(Oid relid, std::vector<Oid> &path)
    {
        if (contains(done_, relid))
            return;
        path.push_back(relid);
        for (const Reference &reference : read_[index_of(members_, relid)]) {
            const bool clears = clears_reference(reference);
            if (clears)
                spared.push_back({reference.child, relid, reference.constraint});
            if (clears && (reference.child == relid || !contains(members_, reference.child)))
                continue;
            if (contains(path, reference.child))
                refuse_circle(reference);
            arrange(reference.child, path);
            if (!clears)
                references.push_back(reference);
        }
        path.pop_back();
        done_.push_back(relid); // after all of its children
    }

    pg::Spi &spi_;
    LOCKMODE lockmode_;
    std::vector<Oid> members_, done_;
    std::vector<std::vector<Reference>> read_; // of each of members_
};

// Red. Why the relation cannot be in a family, or null.
const char *obstacle_of(Oid relid, bool is_root)
{
    const char kind = get_rel_relkind(relid);
    if ((kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) || IsCatalogRelationOid(relid))
        return "It is not an ordinary or partitioned table of a user.";
    if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
        return "It is a temporary table.";
    if (OidIsValid(getExtensionOfObject(RelationRelationId, relid)))
        return "It belongs to an extension.";
    if (kind == RELKIND_RELATION && has_subclass(relid))
        return "Other tables inherit from it.";
    if (is_root && get_rel_relispartition(relid))
        return "It is a partition; name the partitioned table that it belongs to.";
    return nullptr;
}

// Rows of a foreign table have no place that could be locked.
bool has_foreign_partition(pg::Spi &spi, Oid relid)
{
    pg::CatalogScope scope;
    return !spi.run_kept("SELECT FROM pg_catalog.pg_partition_tree($1) p JOIN pg_catalog.pg_class c ON c.oid = "
                         "p.relid"
                         " WHERE c.relkind = 'f' LIMIT 1",
                         {pg::regclass_param(relid)})
                .empty();
}

Member make_member(pg::Spi &spi, Oid relid, Oid root_owner)
{
    Member member;
    member.table = pg::require_owner(relid);
    const bool is_root = !OidIsValid(root_owner);
    const char *obstacle = pg::guarded([=] { return obstacle_of(relid, is_root); });
    if (!obstacle && has_foreign_partition(spi, relid))
        obstacle = "One of its partitions is a foreign table.";
    if (obstacle)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE,
                 "cannot keep relation \"" + pg::relation_name(relid) + "\" by families", obstacle);
    if (!is_root && member.table.owner != root_owner)
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                 "relation \"" + pg::relation_name(relid) +
                     "\" of the family has another owner than its root",
                 "It belongs to \"" + pg::role_name(member.table.owner) + "\", the root to \"" +
                     pg::role_name(root_owner) + "\".",
                 "Give all relations of the family the same owner.");
    member.name = pg::qualified_name(relid);
    const bool partitioned = pg::guarded([=] { return get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE; });
    member.from = partitioned ? member.name : "ONLY " + member.name;
    return member;
}

// Leaf by leaf goes what refers to the root by one column, of the same type of PostgreSQL's own and of that
// type's collation, or of "C", on both sides (a range of ids is one only in the order in which it was
// reckoned), and whose partitioned parent has no trigger or rule that a statement on a leaf would pass by.
void read_leaves(pg::Spi &spi, Member &member, Oid root)
{
    if (member.links.size() != 1 || member.links.front().parent != 0 ||
        member.links.front().columns.size() != 1)
        return;
    const Link::Column &pair = member.links.front().columns.front();
    pg::CatalogScope scope;
    pg::Rows rows = spi.run_kept(
        "SELECT format('%I.%I', n.nspname, c.relname), a.attcollation FROM pg_catalog.pg_partition_tree($1) l"
        " JOIN pg_catalog.pg_class c ON c.oid = l.relid AND c.relkind = 'r'"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attname = $2 AND a.atttypid < 16384"
        " JOIN pg_catalog.pg_type y ON y.oid = a.atttypid AND a.attcollation IN (y.typcollation, $5)"
        " JOIN pg_catalog.pg_attribute p ON p.attrelid = $3 AND p.attname = $4"
        "  AND p.atttypid = a.atttypid AND p.attcollation = a.attcollation"
        " WHERE l.isleaf AND NOT (SELECT relhasrules FROM pg_catalog.pg_class WHERE oid = $1)"
        "  AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal"
        "   AND tgfoid IS DISTINCT FROM to_regproc('privacy_scan.check_unique'))"
        " ORDER BY c.oid",
        {pg::regclass_param(member.table.relid), pg::text_param(pair.child), pg::regclass_param(root),
         pg::text_param(pair.parent), pg::oid_param(C_COLLATION_OID)});
    for (std::size_t row = 0; row < rows.size(); ++row) {
        member.leaves.push_back(rows.text(row, 1));
        member.in_bytes = rows.oid(row, 2) == C_COLLATION_OID;
    }
}

} // namespace

Family read_family(pg::Spi &spi, Oid root, LOCKMODE lockmode)
{
    pg::CatalogPath path;
    Family family;
    family.members.push_back(make_member(spi, root, InvalidOid));
    const Walk walk(spi, root, lockmode);
    const std::vector<Oid> order = walk.parents_first();
    for (std::size_t i = 1; i < order.size(); ++i)
        family.members.push_back(make_member(spi, order[i], family.root().table.owner));
    for (const Reference &reference : walk.references) {
        refuse_array_keys(reference);
        const std::size_t parent = index_of(order, reference.parent);
        family.members[parent].has_children = true;
        family.members[index_of(order, reference.child)].links.push_back(
            {reference.constraint, parent, reference.columns});
    }
    for (Member &member : family.members)
        read_leaves(spi, member, root);
    for (const Spared &spared : walk.spared)
        family.members[index_of(order, spared.parent)].has_spared = true;
    family.spared = walk.spared;
    return family;
}

namespace
{

std::string outline(const Family &family)
{
    std::string text;
    for (const Member &member : family.members) {
        text += member.name + " " + std::to_string(member.table.relid) + ":";
        for (const Link &link : member.links)
            for (const Link::Column &pair : link.columns)
                text += pg::quote(link.constraint) + " " + std::to_string(link.parent) +
                        pg::quote(pair.child) + pair.equals + pg::quote(pair.parent);
    }
    for (const Spared &spared : family.spared)
        text +=
            std::to_string(spared.relid) + " " + std::to_string(spared.parent) + pg::quote(spared.constraint);
    return text;
}

} // namespace

bool same_family(const Family &a, const Family &b)
{
    return outline(a) == outline(b);
}

} // namespace privacy_scan::retention
