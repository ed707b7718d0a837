// See family.hpp.
#include "pg/postgres.hpp"

#include "retention/family.hpp"

#include "pg/ident.hpp"

extern "C" {
#include <catalog/catalog.h>
#include <catalog/pg_class_d.h>
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

bool clears_reference(const Reference &reference) { return reference.on_delete == 'n' || reference.on_delete == 'd'; }

// The declared foreign keys that refer to the relation: those that partitions inherited have a parent.
std::vector<Reference> references_to(pg::Spi &spi, Oid relid)
{
    pg::Rows rows = spi.run(
        "SELECT k.oid, k.conname::text, k.conrelid, k.confdeltype::text, c.attname::text, p.attname::text,"
        " format('OPERATOR(%I.%s)', n.nspname, o.oprname)"
        " FROM pg_catalog.pg_constraint k,"
        " LATERAL unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS u(child, parent, operator, place)"
        " JOIN pg_catalog.pg_operator e ON e.oid = u.operator"
        " JOIN pg_catalog.pg_operator o ON o.oid = CASE WHEN e.oprcom <> 0 THEN e.oprcom ELSE e.oid END"
        " JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace,"
        " pg_catalog.pg_attribute c, pg_catalog.pg_attribute p"
        " WHERE k.contype = 'f' AND k.conparentid = 0"
        " AND (k.confrelid = $1 OR k.confrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1)))"
        " AND c.attrelid = k.conrelid AND c.attnum = u.child AND p.attrelid = k.confrelid AND p.attnum = u.parent"
        " ORDER BY k.conrelid::regclass::text, k.oid, u.place",
        {pg::regclass_param(relid)});
    std::vector<Reference> references;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (references.empty() || references.back().constraint_oid != rows.oid(row, 1))
            references.push_back({rows.oid(row, 1), rows.text(row, 2), rows.oid(row, 3), relid, rows.text(row, 4)[0], {}});
        references.back().columns.push_back({rows.text(row, 5), rows.text(row, 6), rows.text(row, 7)});
    }
    return references;
}

[[noreturn]] void refuse_circle(const Reference &reference)
{
    const bool self = reference.child == reference.parent;
    pg::fail(ERRCODE_FEATURE_NOT_SUPPORTED,
             "cannot keep relation \"" + pg::relation_name(reference.parent) + "\" by families",
             "Foreign key \"" + reference.constraint + "\" from \"" + pg::relation_name(reference.child) + "\" " +
                 (self ? "refers to the relation itself." : "closes a circle of foreign keys."),
             "Rows that are kept may depend on rows that would go. Declare the key ON DELETE SET NULL, or drop it.");
}

// Walks the foreign keys depth first; `path` is the way from the root.
class Walk
{
  public:
    explicit Walk(pg::Spi &spi) : spi_(spi) {}

    void visit(Oid relid, std::vector<Oid> &path)
    {
        if (std::find(done_.begin(), done_.end(), relid) != done_.end())
            return;
        path.push_back(relid);
        for (Reference &reference : references_to(spi_, relid)) {
            if (clears_reference(reference)) {
                spared.push_back({reference.child, relid, reference.constraint});
                continue;
            }
            if (std::find(path.begin(), path.end(), reference.child) != path.end())
                refuse_circle(reference);
            visit(reference.child, path);
            references.push_back(std::move(reference));
        }
        path.pop_back();
        done_.push_back(relid); // after all of its children
    }

    std::vector<Oid> parents_first() const { return {done_.rbegin(), done_.rend()}; }

    std::vector<Reference> references;
    std::vector<Spared> spared;

  private:
    pg::Spi &spi_;
    std::vector<Oid> done_;
};

Member make_member(Oid relid, Oid root_owner)
{
    Member member;
    member.table = pg::require_owner(relid);
    member.name = pg::qualified_name(relid);
    const char kind = pg::guarded([=] { return get_rel_relkind(relid); });
    const bool catalog = pg::guarded([=] { return IsCatalogRelationOid(relid); });
    if ((kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) || catalog)
        pg::fail(ERRCODE_WRONG_OBJECT_TYPE, "cannot keep relation \"" + pg::relation_name(relid) + "\" by families",
                 "It is not an ordinary or partitioned table of a user.");
    if (OidIsValid(root_owner) && member.table.owner != root_owner)
        pg::fail(ERRCODE_INSUFFICIENT_PRIVILEGE,
                 "relation \"" + pg::relation_name(relid) + "\" of the family has another owner than its root",
                 "It belongs to \"" + pg::role_name(member.table.owner) + "\", the root to \"" +
                     pg::role_name(root_owner) + "\".",
                 "Give all relations of the family the same owner.");
    member.from = kind == RELKIND_PARTITIONED_TABLE ? member.name : "ONLY " + member.name;
    return member;
}

} // namespace

Family read_family(pg::Spi &spi, Oid root)
{
    Family family;
    family.members.push_back(make_member(root, InvalidOid));
    Walk walk(spi);
    std::vector<Oid> path;
    walk.visit(root, path);
    const std::vector<Oid> order = walk.parents_first();
    for (std::size_t i = 1; i < order.size(); ++i)
        family.members.push_back(make_member(order[i], family.root().table.owner));
    auto index_of = [&](Oid relid) {
        return static_cast<std::size_t>(std::find(order.begin(), order.end(), relid) - order.begin());
    };
    for (Reference &reference : walk.references) {
        const std::size_t parent = index_of(reference.parent);
        family.members[parent].has_children = true;
        family.members[index_of(reference.child)].links.push_back(
            {reference.constraint, parent, std::move(reference.columns)});
    }
    for (const Spared &spared : walk.spared)
        family.members[index_of(spared.parent)].has_spared = true;
    family.spared = std::move(walk.spared);
    return family;
}

} // namespace privacy_scan::retention
